# SPDX-License-Identifier: MIT
"""Run files of CPython's test suite outside and inside a sandbox and compare each test's outcome. Prints TAP.

    compare.py CPYTHON POLICY PYISOLATE TESTS DIFFERENCES [FILE...]

CPYTHON is what vendor/cpython.sh made; POLICY grants what the tests need; TESTS lists the files, DIFFERENCES explains
what may differ. With FILE arguments only those run, and every difference is shown. Two files run at a time.
"""

import collections
import concurrent.futures
import fnmatch
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

TIMEOUT_S = 100  # of one file, on either side

Outcome = collections.namedtuple("Outcome", "word detail")


def lines(path):
    """The lines of a list file without comments."""
    with open(path) as f:
        for number, line in enumerate(f, 1):
            line = re.sub(r"(^|\s)#.*", "", line.rstrip("\n"))
            if line.strip():
                yield number, line


class Differences:
    """What DIFFERENCES says: PATTERN, OUTSIDE>INSIDE, /regular expression for what the inside says/ or '-', reason."""

    def __init__(self, path):
        self.rules = []
        for number, line in lines(path):
            match = re.fullmatch(r"(\S+)\s+(\w+)>(\w+)\s+(?:-|/(.*)/)\s+(\S.*)", line)
            if not match:
                raise SystemExit("%s:%d: not PATTERN OUTSIDE>INSIDE /SAYS/ WHY" % (path, number))
            pattern, outside, inside, says, why = match.groups()
            self.rules.append((re.compile(fnmatch.translate(pattern)), outside, inside, re.compile(says or ""), why,
                               number))
        self.used = set()

    def explain(self, test, outside, inside):
        for pattern, before, after, says, why, number in self.rules:
            if (pattern.match(test) and before in ("any", outside.word) and after in ("any", inside.word) and
                    says.search(inside.detail)):
                self.used.add(number)
                return why
        return None


def install(cpython, prefix):
    """An ordinary installation of the interpreter, whose children find their library by themselves."""
    os.makedirs(os.path.join(prefix, "bin"))
    for name in ("python3.13t", "python3.13"):
        library = os.path.join(prefix, "lib", name)
        os.makedirs(os.path.join(library, "lib-dynload"))
        for entry in os.listdir(os.path.join(cpython, "lib")):
            os.symlink(os.path.join(cpython, "lib", entry), os.path.join(library, entry))
    return shutil.copy(os.path.join(cpython, "python"), os.path.join(prefix, "bin", "python3"))


class Side:
    """One way to run the runner."""

    def __init__(self, name, command, env):
        self.name, self.command, self.env = name, command, env

    def run(self, module):
        start = time.monotonic()
        with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
            process = subprocess.Popen(self.command + [module], stdin=subprocess.DEVNULL, stdout=out, stderr=err,
                                       env=self.env, cwd="/", start_new_session=True)
            try:
                code = process.wait(TIMEOUT_S)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, 9)
                process.wait()
                code = "timeout"
            out.seek(0)
            err.seek(0)
            results = {}
            ended = False
            for line in out:
                fields = line.rstrip("\n").split("\t")
                if fields[0] == "end":
                    ended = True
                elif len(fields) == 3:
                    results[fields[0]] = Outcome(fields[1], fields[2])
            if not ended:
                text = (err.read().strip().splitlines() or [""])[-1]
                results["test.%s" % module] = Outcome("crash", "code %s after %d results; %s" %
                                                      (code, len(results), text))
        return results, time.monotonic() - start


def main():
    cpython, policy, binary, tests, differences = sys.argv[1:6]
    # A shell's background job has SIGINT ignored, and would hand that down to both sides.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    only = sys.argv[6:]
    modules = only or [line.split()[0] for _, line in lines(tests)]
    explained = Differences(differences)
    lib = os.path.join(cpython, "lib")

    here = tempfile.mkdtemp(prefix="pyi-conformance.")
    os.chmod(here, 0o755)
    try:
        runner = shutil.copy(os.path.join(os.path.dirname(os.path.abspath(__file__)), "runner.py"), here)
        os.chmod(runner, 0o644)
        env = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "LANG": "C.UTF-8"}
        drop = []
        if os.getuid() == 0:
            # The guest is never root, so its twin must not be either.
            drop = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--bounding-set=-all",
                    "--inh-caps=-all"]
        python = install(cpython, os.path.join(here, "python"))
        outside = Side("outside", drop + [python, "-I", "-S", runner, lib], env)
        inside = Side("inside", [binary, "run", "--policy", policy, runner, lib], env)
        return compare(modules, outside, inside, explained, bool(only))
    finally:
        shutil.rmtree(here)


def compare(modules, outside, inside, explained, verbose):
    start = time.monotonic()
    totals = collections.Counter()
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        def both(module):
            return outside.run(module), inside.run(module)

        for n, (module, ((before, t0), (after, t1))) in enumerate(zip(modules, pool.map(both, modules)), 1):
            notes = []
            bad = False
            ran = sum(r.word != "skip" for r in before.values())
            tests = sorted(before.keys() | after.keys())
            crashed = {side: r for side, results in (("outside", before), ("inside", after))
                       for r in results.values() if r.word == "crash"}
            if crashed:  # one line, not one for each test that is missing
                bad = True
                notes += ["%s ended early: %s" % (side, r.detail) for side, r in crashed.items()]
                tests = [t for t in tests if t in before and t in after]
            for test in tests:
                was = before.get(test, Outcome("absent", ""))
                now = after.get(test, Outcome("absent", ""))
                totals["tests"] += 1
                if was.word == now.word:
                    totals["same"] += 1
                    continue
                why = explained.explain(test, was, now)
                totals["explained" if why else "unexplained"] += 1
                bad = bad or not why
                if verbose or not why:
                    notes.append("%s: %s outside, %s inside: %s%s" % (
                        test, was.word, now.word, (now if now.detail else was).detail, " [%s]" % why if why else ""))
            if not ran:
                bad = True
                notes.append("no test ran outside: %s" % "; ".join(r.detail for r in before.values()))
            failed += bad
            print("%sok %d - %s: %d tests, %.1f s outside, %.1f s inside" % (
                "not " if bad else "", n, module, len(before), t0, t1))
            for note in notes:
                print("# " + note)
            sys.stdout.flush()
    print("1..%d" % len(modules))
    print("# %(tests)d tests: %(same)d alike, %(explained)d differ as explained, %(unexplained)d differ" %
          collections.defaultdict(int, totals))
    print("# %.0f s" % (time.monotonic() - start))
    if not verbose:
        for *_, why, number in explained.rules:
            if number not in explained.used:
                print("# line %d of the explanations was not needed: %s" % (number, why))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
