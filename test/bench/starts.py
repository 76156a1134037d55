# SPDX-License-Identifier: MIT
"""What a start costs, stage by stage, and how many there can be: time, memory, starts a second, beside the targets."""

import os
import re
import statistics
import subprocess
import time

STAGE_ROUNDS = int(os.environ.get("PYI_BENCH_STAGE_ROUNDS", "100"))
IDLE = int(os.environ.get("PYI_BENCH_IDLE", "200"))
SECONDS = int(os.environ.get("PYI_BENCH_SECONDS", "30"))
IMPORTS = "import json,re,hashlib,ssl,asyncio,sqlite3"
LINE = re.compile(r"timing: +([\d.]+) us +\+ *([\d.]+) +(\w+: .*)")
SLEEP = "import sys,time; sys.stdout.write('up\\n'); sys.stdout.flush(); time.sleep(600)"


def stages(binary, arguments):
    """--timings of many runs: {stage: (min, median)} in order, and clone3 to the first bytecode of the program, in us."""
    took, whole, first = {}, [], []
    for _ in range(STAGE_ROUNDS):
        run = subprocess.run([binary, "run", "--timings", *arguments], check=True, capture_output=True, text=True)
        marks = LINE.findall(run.stderr)
        for _, us, stage in marks:
            took.setdefault(stage, []).append(float(us))
        whole.append(max(float(at) for at, _, _ in marks))
        if run.stdout.strip():
            start = float(re.search(r"0 us is ([\d.]+) s", run.stderr)[1])
            clone = next(float(at) - float(us) for at, us, stage in marks if stage == "supervisor: clone3")
            first.append(float(run.stdout) / 1e3 - start * 1e6 - clone)
    table = {stage: (min(us), statistics.median(us)) for stage, us in took.items()}
    table["all of the supervisor's"] = (min(whole), statistics.median(whole))
    return table, first


def children(pid):
    with open("/proc/%d/task/%d/children" % (pid, pid)) as f:
        return [int(word) for word in f.read().split()]


def rollup(pid):
    """smaps_rollup in KiB."""
    with open("/proc/%d/smaps_rollup" % pid) as f:
        return {name: int(value) for name, value in re.findall(r"^(\w+): +(\d+) kB$", f.read(), re.M)}


def idle(binary, n):
    """So many sandboxes that sleep: mean KiB of each, {supervisor, init, guest: {Private_Dirty, Pss}}."""
    running = [subprocess.Popen([binary, "run", "-c", SLEEP], stdout=subprocess.PIPE) for _ in range(n)]
    try:
        for one in running:
            if one.stdout.readline() != b"up\n":
                raise SystemExit("bench: an idle sandbox did not start")
        os.sync()  # a page of a file that was just written counts as the process's own until it is on the disk
        time.sleep(0.5)
        sums = {}
        for one in running:
            init = children(one.pid)[0]
            for who, pid in (("supervisor", one.pid), ("init", init), ("guest", children(init)[0])):
                figures, kept = rollup(pid), sums.setdefault(who, {"Private_Dirty": 0, "Pss": 0})
                for name in kept:
                    kept[name] += figures[name]
        return {who: {name: kib / n for name, kib in figures.items()} for who, figures in sums.items()}
    finally:
        for one in running:
            one.terminate()
        for one in running:
            one.wait()
            one.stdout.close()


def rate(helper, seconds, workers, command):
    """Starts a second, and CPU us of one."""
    line = subprocess.run([helper, str(seconds), str(workers), *command], check=True, capture_output=True, text=True)
    return tuple(map(float, line.stdout.split()))


def first_run(binary):
    """Milliseconds of the first and the second run with an empty cache; None without a mount namespace."""
    script = """mount -t tmpfs tmpfs /var/cache && export XDG_CACHE_HOME=/var/cache
for i in 1 2 3; do date +%s%N; "$0" run -c pass; done; date +%s%N; sleep 2; date +%s%N; "$0" run -c pass; date +%s%N"""
    run = subprocess.run(["unshare", "-m", "--propagation", "private", "sh", "-c", script, binary], capture_output=True,
                         text=True)
    at = [int(line) / 1e6 for line in run.stdout.split()]
    return (at[1] - at[0], at[5] - at[4]) if run.returncode == 0 and len(at) == 6 else None
