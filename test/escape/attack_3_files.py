# SPDX-License-Identifier: MIT
# Attempts: files, and what is planted in them for later.


def read():
    with open(sys.argv[2], "rb") as f:
        return repr(f.read(80))


def write():
    with open(sys.argv[2], "r+b") as f:
        f.write(b"overwritten")
    return "wrote"


def create():
    with open(sys.argv[2], "xb") as f:
        f.write(b"made")
    return "made"


def append():
    with open(sys.argv[2], "ab") as f:
        f.write(b"more")
    return "appended"


def truncate():
    os.truncate(sys.argv[2], 0)
    return "truncated"


def open_truncate():
    os.close(os.open(sys.argv[2], os.O_RDONLY | os.O_TRUNC))
    return "truncated through a read-only descriptor"


def unlink():
    os.unlink(sys.argv[2])
    return "removed"


def rename():
    os.rename(sys.argv[2], sys.argv[2] + ".new")
    return "renamed"


def chmod():
    os.chmod(sys.argv[2], 0o777)
    return "changed"


def utime():
    os.utime(sys.argv[2], (0, 0))
    return "changed"


def setxattr():
    os.setxattr(sys.argv[2], "user.x", b"1")
    return "set"


def mmap_write():
    """Writing through a shared mapping, where a check on write(2) alone would see nothing."""
    fd = os.open(sys.argv[2], os.O_RDONLY)
    with mmap.mmap(fd, 0, mmap.MAP_SHARED, mmap.PROT_READ) as m:
        view = ctypes.c_char.from_buffer_copy(m)
        del view
    fd = os.open(sys.argv[2], os.O_RDWR)
    with mmap.mmap(fd, 0) as m:
        m[:4] = b"leak"
    return "written through a mapping"


def reopen_writable():
    """A read-only descriptor reopened for writing through /proc."""
    fd = os.open(sys.argv[2], os.O_RDONLY)
    os.write(os.open("/proc/self/fd/%d" % fd, os.O_WRONLY), b"leak")
    return "written"


def sqlite_write():
    import sqlite3

    db = sqlite3.connect(sys.argv[2])
    db.execute("insert into t values ('leak')")
    db.commit()
    return "inserted"


def sqlite_attach():
    import sqlite3

    db = sqlite3.connect(":memory:")
    db.execute("attach ? as other", (sys.argv[2],))
    return repr(db.execute("select * from other.t").fetchall())


def sqlite_extension():
    import sqlite3

    db = sqlite3.connect(":memory:")
    if not hasattr(db, "enable_load_extension"):
        raise Refused("no extensions")
    db.enable_load_extension(True)
    try:
        db.load_extension(sys.argv[2])
    except sqlite3.OperationalError as e:
        raise Refused(str(e)) from None
    return "loaded"


def walk_up():
    """Up and out of a granted directory, one '..' at a time, each through the descriptor of the one before."""
    fd = os.open(sys.argv[2], os.O_RDONLY | os.O_DIRECTORY)
    for _ in range(40):
        fd = os.open("..", os.O_RDONLY | os.O_DIRECTORY, dir_fd=fd)
    return repr(os.read(os.open(sys.argv[3].lstrip("/"), os.O_RDONLY, dir_fd=fd), 80))


def proc_root():
    """The file system as another process (or ourselves) sees it."""
    last = None
    for pid in ["self", "thread-self", "1", str(os.getppid())]:
        for link in ["root", "cwd/../../../../../../../..", "task/%s/root" % os.getpid()]:
            try:
                with open("/proc/%s/%s%s" % (pid, link, sys.argv[2]), "rb") as f:
                    return repr(f.read(80))
            except OSError as e:
                last = e
    raise last


def proc_mem():
    """Write to our own read-only text through /proc/self/mem, which asks no page for its permission."""
    try:
        syscall(157, 4, 1, 0, 0, 0)
    except OSError:
        pass
    with open("/proc/self/mem", "r+b", 0) as f:
        address = _find_syscall()
        f.seek(address)
        old = f.read(1)
        f.seek(address)
        f.write(old)
    return "wrote to our own text"


def proc_one():
    """What the first process of the sandbox holds: memory copied from the supervisor, its environment, its files."""
    pid = sys.argv[2] if len(sys.argv) > 2 else "1"
    last = None
    for name in ["environ", "mem", "maps", "auxv", "syscall", "stack", "io", "fdinfo/0", "map_files", "fd", "ns/net"]:
        path = "/proc/%s/%s" % (pid, name)
        try:
            if name in ("map_files", "fd"):
                entries = os.listdir(path)
                return "%s lists %s" % (path, entries[:3])
            if name == "ns/net":
                return "%s is %s" % (path, os.readlink(path))
            with open(path, "rb") as f:
                if name == "mem":
                    continue
                got = f.read(200)
                if got:
                    return "%s says %r" % (path, got[:60])
        except OSError as e:
            last = e
    raise last


def proc_sys():
    """Files of /proc and /sys that change the whole machine or tell about it."""
    last = None
    for path in ["/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger", "/sys/kernel/uevent_helper", "/proc/kcore",
                 "/proc/kallsyms", "/proc/keys", "/sys/fs/cgroup", "/sys/fs/bpf", "/proc/kmsg", "/dev/mem", "/dev/kmsg",
                 "/proc/config.gz", "/proc/timer_list", "/proc/mounts"]:
        try:
            if os.path.isdir(path):
                os.listdir(path)
                return path
            os.close(os.open(path, os.O_WRONLY if path.startswith("/proc/sys") else os.O_RDONLY))
            if path != "/proc/mounts":
                return path
        except OSError as e:
            last = e
    raise last


def own_binary():
    """Keep a descriptor of our own binary, be replaced by another program, then write through the descriptor."""
    fd = os.open("/proc/self/exe", os.O_PATH)
    last = None
    for flags in (os.O_RDWR, os.O_WRONLY | os.O_APPEND):
        try:
            os.open("/proc/self/exe", flags)
            return "opened for writing"
        except OSError as e:
            last = e
    os.set_inheritable(fd, True)
    try:
        os.execv("/bin/sh", ["sh", "-c", "sleep 0.3; : >>/proc/self/fd/%d && echo succeeded: written" % fd])
    except OSError:
        raise last from None


def own_binary_copy():
    """Wait until the program we run from has no process left but us, then write to it. argv[2]: its path."""
    with open(sys.argv[2], "r+b") as f:
        f.read(1)
    return "opened %s for writing" % sys.argv[2]


def fds():
    """Descriptors that came from outside."""
    found = []
    for fd in range(3, 1024):
        try:
            st = os.fstat(fd)
        except OSError:
            continue
        try:
            name = os.readlink("/proc/self/fd/%d" % fd)
        except OSError:
            name = stat.filemode(st.st_mode)
        found.append("%d=%s" % (fd, name))
    found = [f for f in found if not f.split("=", 1)[1].startswith(tuple(sys.argv[2:]) or "\0")]
    if not found:
        raise Refused("no descriptor but 0, 1 and 2")
    return " ".join(found)


def secret_in_memory():
    """Look for argv[2] (reversed, so that the script's own copy does not count) in the environment and memory."""
    secret = sys.argv[2][::-1]
    if secret in os.environ.values():
        return "in the environment"
    try:
        syscall(157, 4, 1, 0, 0, 0)
    except OSError:
        pass
    for name in ("environ", "cmdline"):
        try:
            with open("/proc/self/" + name, "rb") as f:
                if secret.encode() in f.read():
                    return "in /proc/self/" + name
        except OSError:
            pass
    # No maps, no matter: the stack's top holds what exec was given.
    here = ctypes.addressof(ctypes.c_char_p.from_buffer(bytearray(8)))
    del here
    needle = secret.encode()
    for start, end in _regions():
        data = ctypes.string_at(start, end - start)
        at = data.find(needle)
        while at >= 0:
            around = data[max(0, at - 30):at]
            if b"=" in around[-14:]:
                return "in memory at %#x" % (start + at)
            at = data.find(needle, at + 1)
    raise Refused("not found")


def _regions():
    try:
        with open("/proc/self/maps") as f:
            for line in f:
                if re.match(r"[0-9a-f]+-[0-9a-f]+ rw", line):
                    start, end = (int(x, 16) for x in line.split()[0].split("-"))
                    if end - start <= 64 << 20:
                        yield start, end
    except OSError:
        return


def setuid_bit():
    """Leave a set-user-ID file behind in a directory that the outside owns: every road to the mode bits."""
    target = sys.argv[2]
    how = sys.argv[3]
    path = os.path.join(target, "planted-" + how)
    mode = 0o6755
    if how == "open":
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY, mode))
    elif how == "creat":
        os.close(syscall(85, buf(path), mode))
    elif how == "openat2":
        os.close(syscall(437, AT_FDCWD, buf(path), buf(struct.pack("<QQQ", os.O_CREAT | os.O_WRONLY, mode, 0)), 24))
    elif how == "mkdir":
        os.mkdir(path)
        os.chmod(path, 0o2777)
    elif how == "mknod":
        syscall(133, buf(path), stat.S_IFREG | mode, 0)
    elif how == "mknodat":
        syscall(259, AT_FDCWD, buf(path), stat.S_IFREG | mode, 0)
    else:
        fd = os.open(path, os.O_CREAT | os.O_RDWR, 0o755)
        if how == "chmod":
            syscall(90, buf(path), mode)
        elif how == "fchmod":
            syscall(91, fd, mode)
        elif how == "fchmodat":
            syscall(268, AT_FDCWD, buf(path), mode)
        elif how == "fchmodat2":
            syscall(452, AT_FDCWD, buf(path), mode, 0)
        elif how == "sgid":
            os.fchmod(fd, 0o2755)
        elif how == "high-bits":
            # The kernel takes mode as 16 bits: a filter that compares 64 would be passed by rubbish above.
            syscall(91, fd, mode | 0x7FFF0000)
        else:
            raise SystemExit("unknown way " + how)
    got = os.stat(path).st_mode
    if not got & 0o6000:
        raise Refused("mode is %o" % got)
    return "mode %o" % got


def file_capability():
    path = os.path.join(sys.argv[2], "planted-capability")
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o755))
    os.setxattr(path, "security.capability", struct.pack("<IIIII", 0x02000001, 1 << 21, 0, 0, 0))
    return "set"


def plant_symlink():
    os.symlink("/etc/passwd", os.path.join(sys.argv[2], "planted-link"))
    return "made"


def plant_fifo():
    os.mkfifo(os.path.join(sys.argv[2], "planted-fifo"))
    return "made"


def plant_device():
    os.mknod(os.path.join(sys.argv[2], "planted-device"), stat.S_IFCHR | 0o666, os.makedev(1, 3))
    return "made"


def plant_socket():
    s = socket.socket(socket.AF_UNIX)
    s.bind(os.path.join(sys.argv[2], "planted-socket"))
    return "made"


def hard_link():
    """A second name, in a directory we may write, for a file we may only read."""
    name = os.path.join(sys.argv[3], "planted-hard-link")
    os.link(sys.argv[2], name)
    with open(name, "r+b") as f:
        f.write(b"overwritten")
    return "written through another name"


def exchange():
    """Swap a file we may only read with one of ours."""
    mine = os.path.join(sys.argv[3], "planted-exchange")
    with open(mine, "wb") as f:
        f.write(b"mine")
    syscall(316, AT_FDCWD, buf(sys.argv[2]), AT_FDCWD, buf(mine), 2)
    return "swapped"


def moved_directory():
    """Stand in a granted directory that someone moves away from under us, then climb out. argv[3] is the secret's
    name beside the place where it is moved to."""
    os.chdir(os.path.join(sys.argv[2], "inner"))
    open("ready", "w").close()
    for _ in range(200):
        try:
            with open("../" + sys.argv[3], "rb") as f:
                return repr(f.read(80))
        except OSError as e:
            last = e
        time.sleep(0.01)
    raise last
