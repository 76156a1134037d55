# SPDX-License-Identifier: MIT
"""Denials of a named sandbox: how many a second reach its events before the first is lost, and what one costs.

    events.py BIN       by itself; bench.py takes measure() along. PYI_BENCH_EVENTS (1) seconds for each rate.

A guest is refused a datagram's address at a given rate; the rate doubles until the record of losses is not empty.
"""

import os
import re
import subprocess
import sys

SECONDS = float(os.environ.get("PYI_BENCH_EVENTS", "1"))
FIRST = 1000
LAST = 1024000
NET = ["--allow-net", "udp://127.0.0.1:9999"]

GUEST = """
import socket, sys, time
rate, seconds = float(sys.argv[1]), float(sys.argv[2])
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
n, start, total = 0, time.perf_counter(), int(rate * seconds)
while n < total:
    due = min(total, int((time.perf_counter() - start) * rate))
    while n < due:
        s.connect_ex(("127.0.0.1", 7))
        n += 1
print("%.0f" % (n / (time.perf_counter() - start)))
"""

COST = """
import socket, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
def cost(n, port):
    start = time.perf_counter()
    for _ in range(n): s.connect_ex(("127.0.0.1", port))
    return (time.perf_counter() - start) / n * 1e6
first = cost(90, 7)
cost(100, 7)
print(first, min(cost(1000, 7) for _ in range(20)), min(cost(1000, 9999) for _ in range(20)))
"""


def output(*argv):
    return subprocess.run(argv, check=True, stdin=subprocess.DEVNULL, capture_output=True, text=True).stdout


def lost_at(binary, name, rate):
    """(rate that was reached, denials lost)"""
    output(binary, "spawn", name, *NET, "-c", GUEST, str(rate), str(SECONDS))
    output(binary, "wait", name)
    events = output(binary, "stats", name, "--events", "--json")
    totals = re.findall(r'"event":"EVENTS_LOST".*"total":(\d+)', events)
    return int(output(binary, "logs", name)), int(totals[-1]) if totals else 0


def measure(binary):
    """Denials a second; microseconds. Empty where only root could."""
    if os.geteuid() != 0:
        return {}
    name = "bench-events-%d" % os.getpid()
    got = {"rate": 0, "lost_rate": 0, "lost_share": 0}
    rate = FIRST
    while rate <= LAST:
        reached, lost = lost_at(binary, name, rate)
        if lost:
            got["lost_rate"], got["lost_share"] = reached, lost / (rate * SECONDS)
            break
        got["rate"] = reached
        rate *= 2
    costs = output(binary, "run", *NET, "-c", COST).split()
    got["first_us"], got["later_us"], got["allowed_us"] = map(float, costs)
    return got


def rows(got):
    if not got:
        return []
    allowed = got["allowed_us"]
    return [
        ("denials before the first is lost", "%d /s" % got["rate"],
         "%.1f %% lost at %d /s" % (got["lost_share"] * 100, got["lost_rate"]) if got["lost_rate"] else "none lost at any rate"),
        ("connect() refused, its line told", "%.2f us" % got["first_us"], "%.1f x one that is allowed" % (got["first_us"] / allowed)),
        ("connect() refused, only counted", "%.2f us" % got["later_us"], "%.1f x one that is allowed" % (got["later_us"] / allowed)),
    ]


if __name__ == "__main__":
    for row in rows(measure(os.path.abspath(sys.argv[1]))):
        print("%-40s %12s   %s" % row)
