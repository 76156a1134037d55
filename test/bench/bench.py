# SPDX-License-Identifier: MIT
"""What bench.sh measures: each figure beside its reference, in the same run, in turn. Prints tables, writes JSON.

    bench.py BIN HELPERS OUTSIDE OUT.json [GIL_BIN GIL_OUTSIDE]

HELPERS is the directory of the helper programs, OUTSIDE is the interpreter of BIN as a program of its own.
"""

import json
import math
import os
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import events  # noqa: E402
import named  # noqa: E402
import plane  # noqa: E402
import starts  # noqa: E402
import tracing  # noqa: E402

ROUNDS = int(os.environ.get("PYI_BENCH_ROUNDS", "200"))
COMPUTE_ROUNDS = int(os.environ.get("PYI_BENCH_COMPUTE_ROUNDS", "7"))
HERE = os.path.dirname(os.path.abspath(__file__))


def table(title, header, rows):
    """Left-aligned names, right-aligned figures."""
    print("\n" + title)
    widths = [max(len(str(row[i])) for row in [header, *rows]) for i in range(len(header))]
    for row in [header, *rows]:
        print("  " + "  ".join(str(c).ljust(w) if i == 0 else str(c).rjust(w)
                               for i, (c, w) in enumerate(zip(row, widths))))
    sys.stdout.flush()


def processes(helper, title, commands, reference):
    """Whole processes, from before vfork to after wait4. commands: name -> argv; the reference has ratio 1."""
    argv = [helper, str(ROUNDS)]
    for i, command in enumerate(commands.values()):
        argv += (["::"] if i else []) + command
    lines = subprocess.run(argv, check=True, capture_output=True, text=True).stdout.splitlines()
    got = {name: dict(zip(("min_us", "median_us", "cpu_us"), map(float, line.split())))
           for name, line in zip(commands, lines)}
    base = got[reference]
    rows = [(name, "%.2f" % (g["min_us"] / 1e3), "%.2f" % (g["median_us"] / 1e3), "%.2f" % (g["cpu_us"] / 1e3),
             "%.2f" % (g["min_us"] / base["min_us"]), "%.2f" % (g["median_us"] / base["median_us"]))
            for name, g in got.items()]
    table("%s (%d rounds)" % (title, ROUNDS),
          ("", "min ms", "median ms", "CPU ms", "min ratio", "median ratio"), rows)
    return got


def compute(interpreters, arguments, rounds):
    """Each interpreter's least seconds per kernel, the interpreters taking turns."""
    best = {name: {} for name in interpreters}
    for _ in range(rounds):
        for name, command in interpreters.items():
            run = subprocess.run(command + arguments, check=True, capture_output=True, text=True, cwd="/")
            for kernel, seconds in json.loads(run.stdout).items():
                best[name][kernel] = min(seconds, best[name].get(kernel, math.inf))
    return best


def geometric_mean(values):
    values = list(values)
    return math.exp(sum(map(math.log, values)) / len(values))


def start_stages(binary, result):
    """Where the time of a start goes."""
    clock = "print(__import__('time').clock_gettime_ns(1))"
    got, first = starts.stages(binary, ["-c", clock])
    command, _ = starts.stages(binary, ["--", "/bin/true"])
    rows = [(stage, *("%.0f" % us for us in got.get(stage, (math.nan,) * 2)),
             *("%.0f" % us for us in command.get(stage, (math.nan,) * 2))) for stage in {**got, **command}]
    table("stages of run -c CODE and of run -- /bin/true, us (%d runs)" % starts.STAGE_ROUNDS,
          ("", "min", "median", "min", "median"), rows)
    result["stages"] = {"python": got, "command": command}
    return min(first) / 1e3


def targets(binary, helpers, result, python, bwrap):
    """The figures that have a target, each with it."""
    commands = {"run": [binary, "run", "-c", "pass"], "run, imports": [binary, "run", "-c", starts.IMPORTS]}
    if " --no-image" in subprocess.run([binary, "run", "--help"], capture_output=True, text=True).stdout:
        commands["run --no-image"] = [binary, "run", "--no-image", "-c", "pass"]
    if python:
        commands["python3"] = [python, "-I", "-c", "pass"]
        commands["python3, imports"] = [python, "-I", "-c", starts.IMPORTS]
    if bwrap:
        commands["bwrap /bin/true"] = [bwrap, "--unshare-all", "--ro-bind", "/", "/", "/bin/true"]
    bare = [os.path.join(helpers, "bare")]  # the system calls that a start cannot do without; needs root
    if subprocess.run(bare, capture_output=True).returncode == 0:
        commands["the system calls alone"] = bare
    got = processes(os.path.join(helpers, "bench"), "the light start; ratio to run", commands, "run")
    rows = []

    def figure(name, value, unit, target, is_least=False):
        good = value >= target if is_least else value <= target
        rows.append((name, "%.3g" % value, unit, "%s %g" % (">=" if is_least else "<=", target), "yes" if good else "no"))
        result.setdefault("targets", {})[name] = {"value": value, "unit": unit, "target": target, "reached": good}

    def ratio(name, a, b, target):
        if a in got and b in got:
            figure(name, got[a]["median_us"] / got[b]["median_us"], "medians", target)

    ratio("run -c pass / python3 -I -c pass", "run", "python3", 0.15)
    ratio("run -c pass / bwrap /bin/true", "run", "bwrap /bin/true", 0.5)
    for name in ("python3", "bwrap /bin/true"):
        if "the system calls alone" in got and name in got:
            share = got["the system calls alone"]["median_us"] / got[name]["median_us"]
            rows.append(("  the least there is: the system calls alone / " + name, "%.3g" % share, "medians", "", ""))
    ratio("run / python3 -I, with six imports", "run, imports", "python3, imports", 0.10)
    figure("clone3 to the first bytecode, least", start_stages(binary, result), "ms", 0.7)
    one, many = starts.idle(binary, 1), starts.idle(binary, starts.IDLE)
    figure("private memory of an idle guest", one["guest"]["Private_Dirty"], "KiB", 512)
    figure("private memory of its supervisor", one["supervisor"]["Private_Dirty"], "KiB", 512)
    figure("%d idle at once, PSS of each" % starts.IDLE, sum(who["Pss"] for who in many.values()) / 1024, "MiB", 1.5)
    rates = {name: starts.rate(os.path.join(helpers, "rate"), starts.SECONDS, 2, commands[name])
             for name in ("run", "bwrap /bin/true") if name in commands}
    figure("starts a second, two workers, %d s" % starts.SECONDS, rates["run"][0], "/s", 500, True)
    result.update(light=got, idle={"one": one, "many": many}, rate=rates)
    table("targets of the light start", ("", "is", "unit", "target", "reached"), rows)
    table("starts a second (%d s)" % starts.SECONDS, ("", "/s", "CPU us"),
          [(name, "%.0f" % per, "%.0f" % cpu) for name, (per, cpu) in rates.items()])
    table("memory of an idle sandbox, KiB", ("", "private dirty", "PSS", "PSS of %d" % starts.IDLE),
          [(who, "%.0f" % one[who]["Private_Dirty"], "%.0f" % one[who]["Pss"], "%.0f" % many[who]["Pss"]) for who in one])
    first = starts.first_run(binary)
    if first:
        result["first_run_ms"] = first
        print("\nwith an empty cache the first run takes %.1f ms, a later one %.1f ms" % first)


def main():
    binary, helpers, outside, out = sys.argv[1:5]
    helper = os.path.join(helpers, "bench")
    gil = sys.argv[5:7]
    path_python = shutil.which("python3", path=os.environ["HOST_PATH"])
    if path_python:  # a shim's own start-up must not count
        path_python = subprocess.run([path_python, "-c", "import sys; print(sys.executable)"], capture_output=True,
                                     text=True, check=True).stdout.strip()
    hosts = {}
    for python in ("/usr/bin/python3", path_python):
        if python and os.path.exists(python):
            version = subprocess.run([python, "-c", "import platform; print(platform.python_version())"],
                                     capture_output=True, text=True, check=True).stdout.strip()
            hosts.setdefault("python3 %s" % version, python)
    bwrap = shutil.which("bwrap")
    result = {}

    whole = {"pyisolate run -c pass": [binary, "run", "-c", "pass"]}
    if gil:
        whole["pyisolate run -c pass (3.13)"] = [gil[0], "run", "-c", "pass"]
    for name, python in hosts.items():
        whole[name + " -I -c pass"] = [python, "-I", "-c", "pass"]
        if bwrap:
            whole["bwrap + " + name] = [bwrap, "--unshare-all", "--ro-bind", "/", "/", "--proc", "/proc", "--dev",
                                         "/dev", python, "-I", "-c", "pass"]
    reference = next((n for n in whole if n.startswith("python3")), next(iter(whole)))
    result["start"] = processes(helper, "Python, whole process; ratio to " + reference, whole, reference)

    commands = {"pyisolate run -- /bin/true": [binary, "run", "--", "/bin/true"], "/bin/true": ["/bin/true"]}
    if bwrap:
        commands["bwrap --unshare-all --ro-bind / / /bin/true"] = [bwrap, "--unshare-all", "--ro-bind", "/", "/",
                                                                  "/bin/true"]
    reference = next((n for n in commands if n.startswith("bwrap")), "/bin/true")
    result["command"] = processes(helper, "a command, whole process; ratio to " + reference, commands, reference)

    targets(binary, helpers, result, next(iter(hosts.values()), None), bwrap)

    result["events"] = events.measure(binary)
    table("denials of a named sandbox", ("", "", "beside"), events.rows(result["events"]))
    result["named"] = named.measure(binary)
    table("named sandboxes at once", ("", "", "beside"), named.rows(result["named"]))

    result["trace"] = tracing.measure(binary, helpers)
    table("system calls, ns of CPU time; open with its close", tracing.HEADER, tracing.rows(result["trace"]))
    if os.getuid() == 0:
        result["plane"] = plane.measure(binary, helpers, os.environ.get("PYI_BENCH_TAP"))
        table("the kernel plane (VM: an emulated machine, only ratios count)", ("", "with", "beside", "", "target"),
              plane.rows(result["plane"]))

    script = os.path.join(HERE, "compute.py")
    interpreters = {"3.13t inside": [binary, "run", "--cwd", "/tmp", script],
                    "3.13t outside": [outside, "-I", "-S", script]}
    if gil:
        interpreters["3.13 inside"] = [gil[0], "run", "--cwd", "/tmp", script]
        interpreters["3.13 outside"] = [gil[1], "-I", "-S", script]
    for name, python in hosts.items():
        interpreters[name] = [python, "-I", script]
    got = compute(interpreters, [], COMPUTE_ROUNDS)
    result["compute"] = got
    kernels = list(next(iter(got.values())))
    host = next((n for n in got if n.startswith("python3")), None)
    rows = []
    for name, figures in got.items():
        rows.append([name] + ["%.1f" % (figures[k] * 1e3) for k in kernels] + (
            ["%.2f" % geometric_mean(figures[k] / got[host][k] for k in kernels)] if host else []))
    table("the compute set, ms (least of %d); ratio to %s" % (COMPUTE_ROUNDS, host),
          ["", *kernels, *(["ratio"] if host else [])], rows)
    pairs = [("3.13t inside", "3.13t outside")] + ([("3.13 inside", "3.13 outside")] if gil else [])
    rows = [["%s / outside" % a] + ["%.3f" % (got[a][k] / got[b][k]) for k in kernels] +
            ["%.3f" % geometric_mean(got[a][k] / got[b][k] for k in kernels)] for a, b in pairs]
    table("inside over outside, the same interpreter", ["", *kernels, "mean"], rows)

    got = compute(interpreters, ["--threads"], max(2, COMPUTE_ROUNDS // 2))
    result["threads"] = got
    rows = [(name, "%.1f" % (g["one"] * 1e3), "%.1f" % (g["two"] * 1e3), "%.2f" % (2 * g["one"] / g["two"]))
            for name, g in got.items()]
    table("the same work on one thread, and on each of two, ms", ("", "one", "two", "speed-up"), rows)

    with open(out, "w") as f:
        json.dump(result, f, indent=1)
        f.write("\n")
    print("\nwritten to %s" % out)


if __name__ == "__main__":
    main()
