# SPDX-License-Identifier: MIT
"""The compute set: what pure Python spends its time on. Prints one line of JSON, kernel -> least seconds.

    compute.py [--threads]      with it: one amount of work on one thread, then that amount on each of two
"""

import json
import re
import sys
import threading
import time

REPEAT = 3


def calls():
    def fib(n):
        return n if n < 2 else fib(n - 1) + fib(n - 2)

    return fib(25)


def dicts():
    counts = {}
    for i in range(400000):
        key = (i * 7919) % 5003
        counts[key] = counts.get(key, 0) + 1
    return len({str(k): v for k, v in counts.items()})


DOCUMENT = [{"id": i, "name": "item %d" % i, "tags": ["a", "b", str(i)], "value": i / 7} for i in range(300)]


def jsons():
    n = 0
    for _ in range(60):
        n += len(json.loads(json.dumps(DOCUMENT)))
    return n


LINE = "user%d@example%d.com wrote 2024-01-%02d about thing-%d"
TEXT = " ".join(LINE % (i, i % 7, i % 28 + 1, i) for i in range(900))
PATTERN = re.compile(r"(\w+)@(\w+)\.com wrote (\d{4})-(\d\d)-(\d\d)")


def regexes():
    return sum(len(m.group(1)) for _ in range(40) for m in PATTERN.finditer(TEXT))


class Point:
    __slots__ = ("x", "y")

    def __init__(self, x, y):
        self.x = x
        self.y = y

    def __add__(self, other):
        return Point(self.x + other.x, self.y + other.y)

    def norm(self):
        return self.x * self.x + self.y * self.y


def objects():
    total = Point(0, 0)
    for i in range(150000):
        total = total + Point(i & 3, 1)
    return total.norm()


def floats():
    x, s = 0.5, 0.0
    for i in range(600000):
        x = 3.7 * x * (1.0 - x)
        s += x * x - 0.25
    return s


KERNELS = {"calls": calls, "dicts": dicts, "json": jsons, "regex": regexes, "objects": objects, "floats": floats}


def least(function):
    best = float("inf")
    for _ in range(REPEAT):
        start = time.perf_counter()
        function()
        best = min(best, time.perf_counter() - start)
    return best


def two_threads():
    threads = [threading.Thread(target=lambda: [floats(), calls()]) for _ in range(2)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()


if sys.argv[1:] == ["--threads"]:
    result = {"one": least(lambda: [floats(), calls()]), "two": least(two_threads)}
else:
    result = {name: least(function) for name, function in KERNELS.items()}
print(json.dumps(result))
