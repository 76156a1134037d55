# SPDX-License-Identifier: MIT
"""Many named sandboxes at once: what it takes to start, list, reload and stop them, and what each supervisor costs.

    named.py BIN        by itself; bench.py takes measure() along. PYI_BENCH_NAMED (500) says how many.

The registry is in files of a directory of this bench's own. Ended entries are made by linking one, 5000 of them.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

MANY = int(os.environ.get("PYI_BENCH_NAMED", "500"))
ENDED = 5000
RELOADED = 100
RELOADS = 10
SLEEPER = "import time\nwhile True: time.sleep(5)"


def timed(argv, env, count=1):
    start = time.monotonic()
    for i in range(count):
        subprocess.run([a.replace("@", str(i)) for a in argv], env=env, check=True, stdout=subprocess.DEVNULL)
    return (time.monotonic() - start) / count * 1e3


def private_kib(pid):
    with open("/proc/%s/smaps_rollup" % pid) as f:
        return sum(int(n) for n in re.findall(r"^Private_(?:Clean|Dirty): *(\d+)", f.read(), re.M))


def write(path, text):
    with open(path, "w") as f:
        f.write(text)
    os.chmod(path, 0o600)
    return path


def reload_files(binary, env, directory):
    """Reloads of the files of one sandbox, each in turn with /bin/true; the least of both."""
    token = write(os.path.join(directory, "token"), "the token of this bench\n")
    policies = [write(os.path.join(directory, name + ".yml"),
                      "version: 1\nceiling: {fs: [{read: /usr}]}\nfs: [{read: /usr/%s}]\n" % name)
                for name in ("lib", "share")]
    subprocess.run([binary, "spawn", "files", "-p", policies[0], "--token-file", token, "-c", SLEEPER], env=env, check=True)
    try:
        took = [(timed([binary, "reload", "files", policies[(i + 1) % 2], "--token-file", token], env), timed(["/bin/true"], env))
                for i in range(6 * RELOADS)]
        return [min(t) for t in zip(*took)]
    finally:
        subprocess.run([binary, "stop", "-q", "files"], env=env, check=False)


def reload_all(binary, env, directory):
    """One reload of one sandbox, and one of all that have a token, beside those that have none; network and limits change."""
    token = write(os.path.join(directory, "token"), "the token of this bench\n")
    names = ["shift-%d" % i for i in range(RELOADED)]
    policies = [write(os.path.join(directory, "%d.yml" % port),
                      "version: 1\nnet: [{connect: '127.0.0.1:%d'}]\nlimits: {pids: %d}\n" % (port, port - 980))
                for port in (1000, 1001)]
    try:
        for name in names:
            subprocess.run([binary, "spawn", name, "-p", policies[0], "--token-file", token, "-c", SLEEPER], env=env,
                           check=True)
        took = {}
        for key, who in (("one", names[0]), ("all", "--all")):
            took[key] = min(timed([binary, "reload", who, policies[(i + 1) % 2], "--token-file", token], env)
                            for i in range(RELOADS))
        return took
    finally:
        for name in names:
            subprocess.run([binary, "stop", "-q", name], env=env, check=False)


def measure(binary):
    """Milliseconds of whole commands, as a caller sees them; KiB."""
    directory = tempfile.mkdtemp(prefix="pyi-bench-named-")
    env = dict(os.environ, PYISOLATE_RUN_DIR=directory)
    got = {"many": MANY}
    try:
        got["true_ms"] = timed(["/bin/true"], env, 50)
        got["run_ms"] = timed([binary, "run", "-c", "pass"], env, 50)
        got["spawn_ms"] = timed([binary, "spawn", "box-@", "-c", SLEEPER], env, MANY)
        listing = subprocess.run([binary, "stats", "--json"], env=env, check=True, capture_output=True, text=True)
        pids = re.findall(r'"pid":(\d+)', listing.stdout)
        got["live"] = len(pids)
        got["private_kib"] = sum(map(private_kib, pids)) / len(pids)
        got["stats_live_ms"] = min(timed([binary, "stats"], env) for _ in range(10))
        got["run_beside_ms"] = timed([binary, "run", "-c", "pass"], env, 50)
        if os.geteuid() == 0:
            got["reload"] = reload_all(binary, env, directory)
            got["reload_files"] = reload_files(binary, env, directory)
        subprocess.run([binary, "spawn", "over", "-c", "pass"], env=env, check=True)
        subprocess.run([binary, "wait", "over"], env=env, check=True)
        entries = os.path.join(directory, "sandboxes")
        for i in range(ENDED):
            os.link(os.path.join(entries, "over"), os.path.join(entries, "over-%d" % i))
        got["stats_all_ms"] = min(timed([binary, "stats"], env) for _ in range(10))
        got["stop_ms"] = timed([binary, "stop", "box-@"], env, MANY)
    finally:
        for i in range(MANY):
            if os.path.exists(os.path.join(directory, "sandboxes", "box-%d" % i)):
                subprocess.run([binary, "stop", "-q", "box-%d" % i], env=env, check=False)
        shutil.rmtree(directory)
    return got


def rows(got):
    many = got["live"]
    reload = [
        ("reload of one, beside %d" % many, "%.1f ms" % got["reload"]["one"],
         "%.1f x /bin/true" % (got["reload"]["one"] / got["true_ms"])),
        ("reload --all of %d, each" % RELOADED, "%.2f ms" % (got["reload"]["all"] / RELOADED),
         "%.2f x a reload of one" % (got["reload"]["all"] / RELOADED / got["reload"]["one"])),
        ("reload of files, least", "%.1f ms" % got["reload_files"][0],
         "%.1f x /bin/true, target 2" % (got["reload_files"][0] / got["reload_files"][1])),
    ] if "reload" in got else []
    return [
        ("spawn, each of %d" % many, "%.1f ms" % got["spawn_ms"], "%.2f x run -c pass" % (got["spawn_ms"] / got["run_ms"])),
        ("run -c pass beside %d" % many, "%.1f ms" % got["run_beside_ms"],
         "%.2f x with none" % (got["run_beside_ms"] / got["run_ms"])),
        ("private memory of a supervisor", "%.0f KiB" % got["private_kib"], "target 512"),
        ("stats, %d live" % many, "%.1f ms" % got["stats_live_ms"], "%.1f x /bin/true" % (got["stats_live_ms"] / got["true_ms"])),
        ("stats, %d live and %d ended" % (many, ENDED), "%.1f ms" % got["stats_all_ms"],
         "%.1f x /bin/true" % (got["stats_all_ms"] / got["true_ms"])),
        *reload,
        ("stop, each", "%.1f ms" % got["stop_ms"], "%.2f x run -c pass" % (got["stop_ms"] / got["run_ms"])),
    ]


if __name__ == "__main__":
    for row in rows(measure(os.path.abspath(sys.argv[1]))):
        print("%-40s %12s   %s" % row)
