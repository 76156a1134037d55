# SPDX-License-Identifier: MIT
"""What the BPF programs cost: a sandbox's own calls, everybody else's, and the swap of a reload.

    plane.py BIN HELPERS [TAP]      by itself; bench.py takes measure() along

As root. Each figure is a pair, measured in turn: with and without, the least of several rounds. TAP is what lsm.t wrote
in the virtual machine, where the LSM programs are: there a nanosecond is an instruction, and only ratios count.
"""

import glob
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading

ROUNDS = int(os.environ.get("PYI_BENCH_PLANE_ROUNDS", "7"))
# Whole commands of others, that start programs, read files and load modules.
WORK = {"100 times /bin/true": "i=0; while [ $i -lt 100 ]; do /bin/true; i=$((i + 1)); done",
        "tar of python3's library": "cd /usr/lib/python3* && tar -cf - . | cat >/dev/null",
        "python3 with 8 imports": "python3 -c 'import argparse, asyncio, decimal, email, json, logging, pathlib, subprocess'"}
GROUPS = "/sys/fs/cgroup/**/pyisolate-*-[0-9]"


def figures(command):
    return list(map(float, subprocess.run(command, check=True, capture_output=True, text=True,
                                          stdin=subprocess.DEVNULL).stdout.split()))


def loops(command):
    """The least nanoseconds of one call."""
    return figures(command)[0]


def cpu(command):
    """The least nanoseconds of CPU time of a whole command: what else the host does shows less in it."""
    return figures(command)[2] * 1e3


def pair(one, other):
    """Least of each, taken in turn, the order changing."""
    best = [float("inf"), float("inf")]
    for i in range(2 * ROUNDS):
        k = (i + i // 2) % 2
        best[k] = min(best[k], (one, other)[k]())
    return best


def connects(binary, helper, got):
    server = socket.create_server(("127.0.0.1", 0), backlog=1024)
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    port = str(server.getsockname()[1])
    udp.bind(("127.0.0.1", int(port)))

    def accept():
        while True:
            try:
                server.accept()[0].close()
            except OSError:
                return
    threading.Thread(target=accept, daemon=True).start()
    box = [binary, "run", "--mode", "compatibility", "--allow-net", "127.0.0.1:" + port,
           "--allow-net", "udp://127.0.0.1:" + port, "--allow-read", helper, "--allow-run", helper, "--"]
    for what, rounds, calls in (("connect", "5", "400"), ("udp", "20", "4000")):
        command = [helper, what, port, rounds, calls]
        got[what] = pair(lambda: loops(box + command), lambda: loops(command))
    server.close()


def outsiders(binary, helper, directory, got):
    """Processes outside our tree, with the programs attached and without.

    A BPF file system of this bench's own holds the pins; with it they go. It takes a mount namespace (private.sh).
    """
    if "PYI_PRIVATE" not in os.environ:
        got["outside"] = "needs private.sh"
        return
    target = os.path.join(directory, "file")
    open(target, "w").close()
    true = os.path.join(os.path.dirname(helper), "true")
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind(("127.0.0.1", 0))
    commands = {"open": [helper, "open", target, "20", "4000"],
                "udp": [helper, "udp", str(udp.getsockname()[1]), "20", "4000"],
                "exec": [helper, "exec", true, "10", "100"]}
    bench = os.path.join(os.path.dirname(helper), "bench")
    path = os.environ.get("HOST_PATH", os.environ["PATH"])
    for name, work in WORK.items():
        commands[name] = ["env", "PATH=" + path, bench, "3", "sh", "-c", work]
    best = {name: [float("inf"), float("inf")] for name in commands}
    groups = set(glob.glob(GROUPS, recursive=True))
    for i in range(2 * ROUNDS):
        k = (i + i // 2) % 2
        if k == 0:
            subprocess.run(["mount", "-t", "bpf", "none", "/sys/fs/bpf"], check=True)
        try:
            if k == 0:
                subprocess.run([binary, "run", "-c", "pass"], check=True, stdin=subprocess.DEVNULL)
            for name, command in commands.items():
                best[name][k] = min(best[name][k], (cpu if name in WORK else loops)(command))
        finally:
            if k == 0:
                subprocess.run(["umount", "/sys/fs/bpf"], check=True)
    got["outside"] = best
    for group in set(glob.glob(GROUPS, recursive=True)) - groups:  # the programs' own, empty now
        os.rmdir(group)


def measure(binary, helpers, tap=None):
    got = {}
    helper = os.path.join(helpers, "loops")
    directory = tempfile.mkdtemp(prefix="pyi-bench-plane-", dir="/var/tmp")
    try:
        connects(binary, helper, got)
        outsiders(binary, helper, directory, got)
        swap = os.path.join(os.path.dirname(helpers), "unit", "root_swap")
        found = re.search(r"^swap (\S+) (\S+) (\S+) us", subprocess.run([swap], capture_output=True, text=True).stdout, re.M)
        if found:
            got["swap_us"] = list(map(float, found.groups()))
    finally:
        shutil.rmtree(directory)
    if tap and os.path.exists(tap):
        with open(tap) as f:
            got["vm"] = {m[0]: float(m[1]) for m in re.findall(r"^# bench (.*): (\S+) ns$", f.read(), re.M)}
    return got


def rows(got):
    """Name, with, without, and what of it."""
    out = []

    def compare(name, a, b, target=""):
        text = "%.0f ns" if b < 1e7 else "%.1f ms"
        scale = 1 if b < 1e7 else 1e-6
        out.append((name, text % (a * scale), text % (b * scale), "%+.1f %%" % (100 * (a / b - 1)), target))

    compare("connect on loopback, TCP; outside", *got["connect"])
    compare("connect of a UDP socket; outside", *got["udp"])
    if isinstance(got["outside"], str):
        out.append(("cost to others", got["outside"], "", "", ""))
    else:
        for name, (with_, without) in got["outside"].items():
            compare("others' %s, programs attached; not" % name, with_, without, "<= 1 %" if name in WORK else "")
    if "swap_us" in got:
        out.append(("swap to a changed answer, least; median", "%.1f us" % got["swap_us"][0], "%.1f us" % got["swap_us"][2],
                    "", "<= 5 us"))
    vm = got.get("vm", {})
    for kind in ("open", "cold"):
        base = vm.get("%s, 10 rules" % kind)
        for name in [n for n in vm if base and re.fullmatch(kind + ", (\\d+ rules|outside)", n)]:
            compare("VM: %s; 10 rules" % name, vm[name], base, "<= +10 %" if name.endswith(" 10000 rules") else "")
    for name in [n[:-len(", counted")] for n in vm if n.endswith(", counted")]:
        compare("VM: %s of a byte with a contract about bytes; without" % name, vm[name + ", counted"],
                vm[name + ", uncounted"])
    for name in [n[:-len(", attached")] for n in vm if n.endswith(", attached")]:
        compare("VM: others' %s, programs attached; not" % name, vm[name + ", attached"], vm[name + ", not"],
                "<= 1 %" if name in WORK else "")
    return out


if __name__ == "__main__":
    for row in rows(measure(os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2]), *sys.argv[3:4])):
        print("%-48s %12s %12s %9s  %s" % row)
