# SPDX-License-Identifier: MIT
"""The demo's untrusted script: counts the words of a file, then tries three things nobody allowed.

    demo.py README OUT_DIRECTORY
"""

import collections
import hashlib
import os
import re
import subprocess
import sys
import time

STOP = set(
    "the a an and or of to in is it that for as by with on be are not no at from this which what its has have was "
    "were will one when where can may must but if so than then there their they only each any all into out own "
    "more other how who does do you your our we without before after until".split()
)
BAR = 32


def words(text):
    """The words of a text that say something, in lower case."""
    return (w for w in re.findall(r"[a-z][a-z'-]+[a-z]", text.lower()) if w not in STOP)


def table(counts):
    """The most frequent words with a bar each."""
    top = counts.most_common(10)
    width = max(len(word) for word, _ in top)
    most = top[0][1]
    for word, n in top:
        yield "  %-*s %4d  %s" % (width, word, n, "#" * max(1, BAR * n // most))


def attempt(what, action):
    """Try something; say how it ended."""
    try:
        got = action()
    except OSError as e:
        print("  %-30s %s: %s" % (what, type(e).__name__, e.strerror))
        return 0
    print("  %-30s ALLOWED, which is wrong: %r" % (what, got))
    return 1


def main():
    readme, out = sys.argv[1:3]
    start = time.perf_counter()
    with open(readme, "rb") as f:
        data = f.read()
    text = data.decode()
    counts = collections.Counter(words(text))
    lines = [
        "%s: %d bytes, %d lines, %d different words" % (
            os.path.basename(readme), len(data), text.count("\n"), len(counts)),
        "SHA-256 %s" % hashlib.sha256(data).hexdigest(),
        "",
        *table(counts),
    ]
    print(*("  " + line if line else "" for line in lines), sep="\n")
    path = os.path.join(out, "report.txt")
    with open(path, "w") as f:
        print(*lines, sep="\n", file=f)
    print("\n  written to build/demo/report.txt after %.1f ms of Python %s" % (
        (time.perf_counter() - start) * 1e3, sys.version.split()[0]))

    print("\nand three things it was not allowed:\n")
    wrong = attempt("read /etc/shadow", lambda: open("/etc/shadow").readline())
    wrong += attempt("read build/demo/private/key",
                     lambda: open(os.path.join(out, "private", "key")).read())
    wrong += attempt("run /bin/sh", lambda: subprocess.run(["/bin/sh", "-c", "id"], check=True))
    return wrong


if __name__ == "__main__":
    sys.exit(main())
