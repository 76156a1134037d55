# SPDX-License-Identifier: MIT
"""Run the examples of the README and the manual as they are pasted, and compare what they print.

usage: examples.py PYISOLATE FILE...     prints TAP, one test per command

A command is a line "$ ..." inside a ```console block (Markdown) or a literal display (mdoc). The lines after it, up to
the next command, are what it prints (stdout and stderr together); a line "..." stands for any lines, "[exit N]" for the
exit code when it is not 0. The commands of one file share a fresh directory.
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile


def blocks_of(path):
    """The literal blocks of a file that hold commands."""
    text = open(path, encoding="utf-8").read()
    if path.endswith(".md"):
        return re.findall(r"^```console\n(.*?)^```", text, re.S | re.M)
    found = re.findall(r"^\.Bd -literal.*?\n(.*?)^\.Ed", text, re.S | re.M)
    return [mdoc_text(block) for block in found if re.search(r"^\$ ", block, re.M)]


def mdoc_text(block):
    """What mdoc shows of a literal line."""
    block = block.replace("\\&", "").replace("\\-", "-").replace("\\(aq", "'").replace("\\(dq", '"')
    return block.replace("\\e", "\\")


def commands_of(block):
    """(command, expected lines) pairs."""
    pairs = []
    for line in block.splitlines():
        if line.startswith("$ "):
            pairs.append((line[2:], []))
        elif pairs:
            pairs[-1][1].append(line)
    return pairs


def matches(expected, got):
    """Do the lines match, "..." standing for any number of lines?"""
    if not expected:
        return not got
    if expected[0] == "...":
        return any(matches(expected[1:], got[i:]) for i in range(len(got) + 1))
    return bool(got) and expected[0].rstrip() == got[0].rstrip() and matches(expected[1:], got[1:])


def run(command, directory, environment):
    done = subprocess.run(["bash", "-c", command], cwd=directory, env=environment, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120)
    lines = done.stdout.decode("utf-8", "replace").splitlines()
    if done.returncode:
        lines.append(f"[exit {done.returncode}]")
    return lines


def main():
    binary, files = os.path.abspath(sys.argv[1]), sys.argv[2:]
    number = 0
    for path in files:
        directory = tempfile.mkdtemp(prefix="pyi-docs-")
        tools = tempfile.mkdtemp(prefix="pyi-docs-bin-")
        os.symlink(binary, os.path.join(tools, "pyisolate"))
        environment = {"PATH": tools + ":/usr/sbin:/usr/bin:/sbin:/bin", "HOME": directory, "LC_ALL": "C.UTF-8"}
        pairs = [pair for block in blocks_of(path) for pair in commands_of(block)]
        for command, expected in pairs:
            number += 1
            got = run(command, directory, environment)
            good = matches(expected, got)
            print(f"{'ok' if good else 'not ok'} {number} - {os.path.basename(path)}: {command}")
            if not good:
                for name, lines in (("expected", expected), ("got", got)):
                    for line in lines or [""]:
                        print(f"# {name}: {line}")
        if not pairs:
            number += 1
            print(f"not ok {number} - {path} has no example")
        shutil.rmtree(directory)
        shutil.rmtree(tools)
    print(f"1..{number}")


main()
