# SPDX-License-Identifier: MIT
"""prestart_check.py PROGRAM FILE: is every function that the C library chose by processor one that runs on all of them?

PROGRAM is the linked one with its symbols, FILE what prestart.sh made. Its IRELATIVE relocations name the places; what
stands there in FILE's pages must be a function whose name claims nothing beyond SSE2.
"""
import re
import struct
import sys

# Of "__memset_sse2_unaligned_erms" what follows the function's own name. `rep stosb` (erms) is everywhere, if slow.
BEYOND = re.compile(r"avx|evex|sse3|sse4|fma|bmi|movbe|xop|popcnt|lzcnt|rtm|clmul|v[234]$")


def is_beyond(name):
    return any(BEYOND.search(word) for word in name.strip("_").split("_")[1:])


SHT_SYMTAB, SHT_RELA, R_IRELATIVE = 2, 4, 37


def main():
    elf = open(sys.argv[1], "rb").read()
    prepared = open(sys.argv[2], "rb").read()
    shoff, = struct.unpack_from("<Q", elf, 0x28)
    shentsize, shnum = struct.unpack_from("<HH", elf, 0x3A)
    sections = [struct.unpack_from("<IIQQQQIIQQ", elf, shoff + i * shentsize) for i in range(shnum)]
    names, places = {}, []
    for _, kind, _, _, offset, size, link, _, _, _ in sections:
        if kind == SHT_SYMTAB:
            strings = sections[link][4]
            for at in range(offset, offset + size, 24):
                name, info, _, _, value, _ = struct.unpack_from("<IBBHQQ", elf, at)
                if info & 15 in (2, 10):
                    end = elf.index(b"\0", strings + name)
                    names.setdefault(value, set()).add(elf[strings + name:end].decode())
        elif kind == SHT_RELA:
            for at in range(offset, offset + size, 24):
                place, info, _ = struct.unpack_from("<QQq", elf, at)
                if info & 0xFFFFFFFF == R_IRELATIVE:
                    places.append(place)
    n_runs, = struct.unpack_from("<I", prepared, 4)
    runs = [struct.unpack_from("<QQQ", prepared, 80 + 24 * i) for i in range(n_runs)]
    bad = []
    for place in places:
        found = [off + place - addr for addr, size, off in runs if addr <= place < addr + size]
        if not found:
            bad.append("%#x is not prepared" % place)
            continue
        target, = struct.unpack_from("<Q", prepared, found[0])
        choices = names.get(target, set())
        if not choices or any(map(is_beyond, choices)):
            bad.append("%#x is %s" % (place, ", ".join(sorted(choices)) or hex(target)))
    for line in bad:
        print("prestart_check: " + line, file=sys.stderr)
    if bad or not places:
        sys.exit("prestart_check: not every processor can run what was prepared")


main()
