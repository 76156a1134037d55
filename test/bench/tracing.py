# SPDX-License-Identifier: MIT
"""What a trace costs: the guest that is traced, and everybody else while it is.

    tracing.py BIN HELPERS        by itself, as root; bench.py takes measure() along.
"""

import os
import subprocess
import sys
import time

CALLS = ("getppid", "access", "open")
FILE = "/etc/passwd"


def calls(argv):
    lines = subprocess.run(argv, check=True, capture_output=True, text=True).stdout.splitlines()
    return {name: float(ns) for name, ns in map(str.split, lines)}


def measure(binary, helpers):
    """Nanoseconds of CPU time of one call; {} where there can be no trace."""
    helper = os.path.join(helpers, "calls")
    sandbox = [binary, "run", "--allow-run", helper, "--allow-read", "/etc"]
    trace = ["--trace-output", "/dev/null"]
    if subprocess.run([*sandbox, *trace, "-c", "pass"], capture_output=True, check=False).returncode:
        return {}
    got = {"outside": calls([helper, FILE]),
           "inside": calls([*sandbox, "--", helper, FILE]),
           "inside, traced": calls([*sandbox, *trace, "--", helper, FILE])}
    sleeper = subprocess.Popen([*sandbox, *trace, "-c", "import time; time.sleep(600)"])
    try:
        time.sleep(2)
        got["outside, beside a trace"] = calls([helper, FILE])
    finally:
        sleeper.terminate()
        sleeper.wait()
    return got


def rows(got):
    return [[name] + ["%.0f" % got[name][call] for call in CALLS] +
            ["%.2f" % (got[name]["open"] / got[name.split(",")[0]]["open"])] for name in got]


HEADER = ("", *CALLS, "open, ratio")

if __name__ == "__main__":
    for row in rows(measure(*map(os.path.abspath, sys.argv[1:3]))):
        print("%-28s" % row[0], *("%9s" % cell for cell in row[1:]))
