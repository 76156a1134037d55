# SPDX-License-Identifier: MIT
"""Attempts to leave a sandbox, each a function here, run by name.

    attack.py NAME [ARG...]     exit 0 and "succeeded: WHAT" or exit 1 and "refused: WHY"

The script is attack_*.py, one after the other (twin.sh puts them together): a script is handed to the sandbox as
one text. This part holds what the attempts share.

The same script runs inside the sandbox and, as its twin, outside with an ordinary python3, where each attempt must
succeed: an attempt that fails everywhere proves nothing. It uses raw system calls and its own memory where it can,
because untrusted code does.
"""

import ctypes
import errno
import fcntl
import mmap
import os
import re
import signal
import socket
import stat
import struct
import sys
import time


class Refused(Exception):
    """The attempt met a wall that is not an OSError."""


_SYSCALL_CODE = bytes.fromhex(
    "4889f84889f74889d64889ca4d89c24d89c84c8b4c24080f05"
)  # the body of libc's syscall(3)


def _find_syscall():
    """The address of syscall(3): from the loader, or found in our own text where there is no loader."""
    try:
        return ctypes.cast(ctypes.CDLL(None).syscall, ctypes.c_void_p).value
    except (OSError, AttributeError):
        pass
    base = 0x400000  # where a static program that is not position independent begins
    header = ctypes.string_at(base, 64)
    assert header[:4] == b"\x7fELF"
    phoff, phnum = struct.unpack_from("<Q", header, 32)[0], struct.unpack_from("<H", header, 56)[0]
    for i in range(phnum):
        p_type, flags, _, vaddr, _, filesz = struct.unpack_from(
            "<IIQQQQ", ctypes.string_at(base + phoff + 56 * i, 56)
        )
        if p_type == 1 and flags & 1:
            at = ctypes.string_at(vaddr, filesz).find(_SYSCALL_CODE)
            if at >= 0:
                return vaddr + at
    raise Refused("no syscall instruction found")


_raw = None


def syscall(nr, *args):
    """A raw system call; raises OSError as the kernel says."""
    global _raw
    if _raw is None:
        proto = ctypes.CFUNCTYPE(ctypes.c_long, *[ctypes.c_long] * 7, use_errno=True)
        _raw = proto(_find_syscall())
    ctypes.set_errno(0)
    numbers = [ctypes.addressof(a) if isinstance(a, ctypes.Array) else a for a in args]
    ret = _raw(nr, *numbers, *[0] * (6 - len(args)))  # args keeps the buffers alive until here
    if ret == -1 and ctypes.get_errno():
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return ret


def buf(data):
    """A C buffer that holds bytes (or a terminated string)."""
    return ctypes.create_string_buffer(data.encode() if isinstance(data, str) else data)
