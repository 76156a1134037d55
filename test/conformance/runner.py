# SPDX-License-Identifier: MIT
"""Run one file of CPython's own test suite and say how each test ended.

    runner.py LIB MODULE

LIB holds the directory test/ of the standard library's source. Prints a line "TEST<TAB>OUTCOME<TAB>DETAIL" for each
test, then "end<TAB>ok". Runs unchanged inside a sandbox and outside; what the tests themselves print is dropped.
"""

import faulthandler
import importlib.util
import os
import re
import socket
import sys
import tempfile
import unittest

DETAIL_MAX = 300


class Result(unittest.TestResult):
    def __init__(self, out):
        super().__init__()
        self.out = out
        self.pid = os.getpid()
        self.subtests_failed = set()

    def say(self, test, outcome, detail=""):
        if os.getpid() != self.pid:  # a test's child that should have become another program goes no further
            os._exit(99)
        name = re.sub("0x[0-9a-f]+", "0x", test.id()).replace("\n", " ").replace("\t", " ")
        self.out.write("%s\t%s\t%s\n" % (name, outcome, " ".join(str(detail).split())[:DETAIL_MAX]))
        self.out.flush()

    @staticmethod
    def brief(err):
        return "%s: %s" % (err[0].__name__, err[1])

    def startTest(self, test):
        super().startTest(test)
        print("#", test.id(), file=sys.stderr, flush=True)

    def addSuccess(self, test):
        if test.id() not in self.subtests_failed:
            self.say(test, "ok")

    def addError(self, test, err):
        self.say(test, "error", self.brief(err))

    def addFailure(self, test, err):
        self.say(test, "fail", self.brief(err))

    def addSkip(self, test, reason):
        self.say(test, "skip", reason)

    def addExpectedFailure(self, test, err):
        self.say(test, "ok")

    def addUnexpectedSuccess(self, test):
        self.say(test, "fail", "unexpected success")

    def addSubTest(self, test, subtest, err):
        if err is not None:
            if test.id() not in self.subtests_failed:
                self.say(test, "fail" if issubclass(err[0], test.failureException) else "error", self.brief(err))
            self.subtests_failed.add(test.id())


def main():
    lib, name = sys.argv[1], sys.argv[2]
    out = os.fdopen(os.dup(1), "w")
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    if len(sys.argv) <= 3 or sys.argv[3] != "-v":
        os.dup2(null, 2)
    os.close(null)
    faulthandler.enable(out)

    # Only this package comes from a directory; the library it tests is the interpreter's own.
    where = os.path.join(lib, "test")
    spec = importlib.util.spec_from_file_location(
        "test", os.path.join(where, "__init__.py"), submodule_search_locations=[where]
    )
    package = importlib.util.module_from_spec(spec)
    sys.modules["test"] = package
    spec.loader.exec_module(package)

    sys.argv[1:] = []
    sys.dont_write_bytecode = True
    from test import support
    from test.support import os_helper, socket_helper

    support.use_resources = []
    support.verbose = False
    try:
        socket.socket(socket.AF_UNIX).close()
    except OSError as e:  # the helper expects a refusal of bind at most; with this its users are skipped
        socket_helper._bind_nix_socket_error = e
    with tempfile.TemporaryDirectory() as work:
        os.chdir(work)
        os_helper.SAVEDCWD = work
        try:
            suite = unittest.defaultTestLoader.loadTestsFromName("test." + name)
        except unittest.SkipTest as e:
            out.write("test.%s\tskip\t%s\n" % (name, e))
        else:
            suite.run(Result(out))
        os.chdir("/")
    out.write("end\tok\t\n")
    out.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
