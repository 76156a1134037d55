# SPDX-License-Identifier: MIT
# Attempts: programs, other processes, meeting places, using up what all share.


def run_program():
    pid = os.fork()
    if pid == 0:
        try:
            os.execv(sys.argv[2], sys.argv[2:])
        except OSError as e:
            os._exit(e.errno)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if code:
        raise OSError(code, os.strerror(code)) if 0 < code < 134 else Refused("status %d" % code)
    return "it ran"


def copied_binary():
    """Copy a program somewhere writable and run the copy. argv: directory, program, arguments."""
    path = os.path.join(sys.argv[2], "planted-program")
    with open(sys.argv[3], "rb") as f, open(path, "wb") as g:
        g.write(f.read())
    os.chmod(path, 0o755)
    sys.argv[2:4] = [path]
    return run_program()


def ld_linux():
    """Let the dynamic loader, which may be executed, load a program that may not."""
    path = os.path.join(sys.argv[2], "planted-program")
    with open(sys.argv[3], "rb") as f, open(path, "wb") as g:
        g.write(f.read())
    sys.argv[2:4] = ["/lib64/ld-linux-x86-64.so.2", path]
    return run_program()


def map_written_code():
    """Write machine code to a file, then map the file executable."""
    path = os.path.join(sys.argv[2], "planted-code")
    with open(path, "wb") as f:
        f.write(b"\xb8\x2a\x00\x00\x00\xc3".ljust(4096, b"\x90"))
    fd = os.open(path, os.O_RDONLY)
    m = mmap.mmap(fd, 4096, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_EXEC)
    at = syscall(9, 0, 4096, 5, 2, fd, 0)
    m.close()
    return "our machine code returned %d" % ctypes.CFUNCTYPE(ctypes.c_int)(at)()


def dlopen_written():
    """Load a shared object of our own making: its constructors would run."""
    path = os.path.join(sys.argv[2], "planted.so")
    with open(sys.argv[3], "rb") as f, open(path, "wb") as g:
        g.write(f.read())
    ctypes.CDLL(path)
    return "loaded"


def object_graph():
    """The classic walk from a tuple to os.system, past any import list; argv[2] is the command."""
    for cls in ().__class__.__base__.__subclasses__():
        if cls.__name__ == "_wrap_close":
            code = cls.__init__.__globals__["system"](sys.argv[2])
            if code:
                raise Refused("system() said %d" % code)
            return "system() ran it"
    raise Refused("no such class")


def audit_hook():
    """Take out whatever watches from within: audit hooks, import hooks, builtins, sys.modules."""
    import builtins
    import gc
    import importlib.machinery

    sys.meta_path[:] = [importlib.machinery.BuiltinImporter, importlib.machinery.FrozenImporter,
                        importlib.machinery.PathFinder]
    for o in gc.get_objects():
        if isinstance(o, type(sys)) and getattr(o, "__name__", "") == "posix":
            o.system
    builtins.__dict__.pop("__pyisolate__", None)
    import posix

    code = posix.system(sys.argv[2])
    if code:
        raise Refused("system() said %d" % code)
    return "system() ran it"


def forged_code():
    """Bytecode that was never compiled: an out-of-bounds constant makes an object out of nothing. Whoever does this
    owns the interpreter; so what? argv[2] is what it then tries to run."""
    table = (ctypes.c_ubyte * 16).from_address(id(object))  # any address of ours, readable and writable
    if len(bytes(table)) != 16:
        raise Refused("cannot")
    # Rewrite a tuple in place, then a bytes object: memory safety is gone.
    t = (1, 2)
    ctypes.c_ssize_t.from_address(id(t) + tuple.__basicsize__ - 8 if sys.version_info < (3, 13) else id(t) + 16)
    b = bytes(8)
    ctypes.memmove(id(b) + bytes.__basicsize__ - 1, b"pwned!!!", 8)
    if b != b"pwned!!!":
        raise Refused("memory is not ours")
    pid = os.fork()
    if pid == 0:
        try:
            os.execv(sys.argv[2], sys.argv[2:])
        except OSError as e:
            os._exit(e.errno)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if code:
        raise OSError(code, os.strerror(code))
    return "it ran"


def kill():
    os.kill(int(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else signal.SIGTERM)
    return "sent"


def kill_everyone():
    """All processes we may signal. Outside only with argv[2], a process group, in the place of everyone."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.kill(-int(sys.argv[2]) if len(sys.argv) > 2 else -1, signal.SIGTERM)
    return "sent"


def queue_signal():
    """rt_sigqueueinfo with a forged sender, pidfd_send_signal, tgkill and SIGIO by F_SETOWN: the side doors."""
    pid = int(sys.argv[2])
    info = buf(struct.pack("<iii", signal.SIGTERM, 0, -1).ljust(128, b"\0"))
    last = None
    for attempt in (lambda: syscall(129, pid, signal.SIGTERM, info), lambda: syscall(234, pid, pid, signal.SIGTERM),
                    lambda: syscall(424, syscall(434, pid, 0), signal.SIGTERM, 0, 0)):
        try:
            attempt()
            return "sent"
        except OSError as e:
            last = e
    raise last


def sigio():
    """Have the kernel send the signal: an asynchronous pipe that belongs to someone else."""
    r, w = os.pipe()
    fcntl.fcntl(r, fcntl.F_SETOWN, int(sys.argv[2]))
    fcntl.fcntl(r, 10, signal.SIGTERM)
    fcntl.fcntl(r, fcntl.F_SETFL, os.O_ASYNC)
    os.write(w, b"x")
    return "asked the kernel to send it"


def parent_priority():
    os.setpriority(os.PRIO_PROCESS, int(sys.argv[2]), 10)
    return "set"


def prlimit():
    out = ctypes.create_string_buffer(16)
    syscall(302, int(sys.argv[2]), 7, 0, out)
    return repr(struct.unpack("<QQ", out.raw))


def affinity():
    os.sched_setaffinity(int(sys.argv[2]), {0})
    return "set"


def shm_put():
    with open("/dev/shm/pyisolate-meet", "x") as f:
        f.write("hello")
    time.sleep(float(sys.argv[2]))
    os.unlink("/dev/shm/pyisolate-meet")
    return "put"


def shm_get():
    with open("/dev/shm/pyisolate-meet") as f:
        return f.read()


def tmp_put():
    with open("/tmp/pyisolate-meet", "x") as f:
        f.write("hello")
    time.sleep(float(sys.argv[2]))
    os.unlink("/tmp/pyisolate-meet")
    return "put"


def tmp_get():
    with open("/tmp/pyisolate-meet") as f:
        return f.read()


def sysv_put():
    i = syscall(29, 0x70796973, 4096, 0o1666)
    time.sleep(float(sys.argv[2]))
    syscall(31, i, 0, 0)
    return "put"


def sysv_get():
    return "segment %d" % syscall(29, 0x70796973, 4096, 0)


def sem_get():
    i = syscall(64, 0x70796973, 1, 0o1666)
    syscall(66, i, 0, 0)
    return "semaphore %d" % i


def msg_get():
    i = syscall(68, 0x70796973, 0o1666)
    syscall(71, i, 0, 0)
    return "queue %d" % i


def mq_put():
    fd = syscall(240, buf("pyisolate-meet"), 0o102, 0o666, 0)
    time.sleep(float(sys.argv[2]))
    syscall(241, buf("pyisolate-meet"))
    return "queue %d" % fd


def mq_get():
    return "queue %d" % syscall(240, buf("pyisolate-meet"), 2, 0, 0)


def abstract_put():
    s = socket.socket(socket.AF_UNIX)
    s.bind("\0pyisolate-meet")
    s.listen()
    s.settimeout(float(sys.argv[2]))
    try:
        s.accept()[0].send(b"hello")
    except TimeoutError:
        pass
    return "put"


def abstract_get():
    s = socket.socket(socket.AF_UNIX)
    s.connect("\0pyisolate-meet")
    return repr(s.recv(10))


def key_put():
    key = syscall(248, buf("user"), buf("pyisolate-meet"), buf("hello"), 5, -4)
    time.sleep(float(sys.argv[2]))
    syscall(250, 9, key, -4)
    return "put"


def key_get():
    return "key %d" % syscall(249, buf("user"), buf("pyisolate-meet"), 0, -4)


def loopback_put():
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(("127.0.0.1", 34567))
    s.listen()
    s.settimeout(float(sys.argv[2]))
    try:
        s.accept()[0].send(b"hello")
    except TimeoutError:
        pass
    return "put"


def loopback_get():
    return repr(socket.create_connection(("127.0.0.1", 34567), 2).recv(10))


def same_network():
    """The name of our network namespace, or that of everyone who has no network."""
    return os.readlink("/proc/self/ns/net")


def forks():
    """argv[2] children that live at the same time."""
    pids = []
    try:
        for _ in range(int(sys.argv[2])):
            pid = os.fork()
            if pid == 0:
                time.sleep(30)
                os._exit(0)
            pids.append(pid)
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
    return "%d children" % len(pids)


def fork_bomb():
    while True:
        try:
            os.fork()
        except OSError:
            pass


def threads():
    import threading

    stop = threading.Event()
    started = []
    try:
        for _ in range(int(sys.argv[2])):
            t = threading.Thread(target=stop.wait)
            t.start()
            started.append(t)
    except RuntimeError as e:
        raise Refused("%s after %d" % (e, len(started))) from None
    finally:
        stop.set()
    return "%d threads" % len(started)


def memory():
    """argv[2] MiB, all of it touched."""
    held = []
    try:
        for _ in range(int(sys.argv[2])):
            held.append(bytearray(b"x") * (1 << 20))
    except MemoryError:
        n = len(held)
        held.clear()
        raise Refused("MemoryError after %d MiB" % n) from None
    return "%d MiB" % len(held)


def memory_children():
    """The same from many processes, each below any limit of one."""
    pids = []
    for _ in range(8):
        pid = os.fork()
        if pid == 0:
            try:
                held = bytearray(b"x") * (int(sys.argv[2]) << 17)
                time.sleep(2)
                os._exit(0 if held else 2)
            except MemoryError:
                os._exit(3)
        pids.append(pid)
    codes = [os.waitstatus_to_exitcode(os.waitpid(p, 0)[1]) for p in pids]
    if any(codes):
        raise Refused("children ended with %s" % codes)
    return "8 children held it"


def tmp_fill():
    """argv[2] MiB in one file of /tmp."""
    path = "/tmp/attack-fill.%d" % os.getpid()
    with open(path, "wb") as f:
        try:
            for _ in range(int(sys.argv[2])):
                f.write(b"x" * (1 << 20))
            f.flush()
        finally:
            os.unlink(path)
    return "%s MiB" % sys.argv[2]


def tmp_sparse():
    """A file of 1 TiB that costs nothing: whoever copies it pays."""
    path = "/tmp/attack-sparse.%d" % os.getpid()
    with open(path, "wb") as f:
        try:
            f.truncate(1 << int(sys.argv[2]))
            f.seek(-1, 2)
            f.write(b"x")
            f.flush()
        finally:
            os.unlink(path)
    return "made"


def tmp_allocate():
    path = "/tmp/attack-allocate.%d" % os.getpid()
    fd = os.open(path, os.O_CREAT | os.O_RDWR)
    try:
        os.posix_fallocate(fd, 0, int(sys.argv[2]) << 20)
    finally:
        os.unlink(path)
    return "allocated"


def tmp_inodes():
    """argv[2] empty files: no bytes, but each costs the kernel memory."""
    base = "/tmp/attack-inodes.%d" % os.getpid()
    os.mkdir(base)
    n = 0
    try:
        for n in range(int(sys.argv[2])):
            os.close(os.open("%s/%d" % (base, n), os.O_CREAT | os.O_WRONLY))
    finally:
        for i in range(n + 1):
            try:
                os.unlink("%s/%d" % (base, i))
            except OSError:
                pass
        os.rmdir(base)
    return "%d files" % (n + 1)


def flood():
    """argv[2] MiB of output, half of it on stderr."""
    for _ in range(int(sys.argv[2])):
        os.write(1, b"y" * (1 << 19))
        os.write(2, b"z" * (1 << 19))
    sys.stderr.flush()
    return "all written"


def open_many():
    held = []
    for _ in range(int(sys.argv[2])):
        held.append(os.open("/dev/null", os.O_RDONLY))
    return "%d descriptors" % len(held)


def stop_self():
    os.kill(os.getpid(), signal.SIGSTOP)
    return "went on"


def daemon():
    """Outlive the run: fork twice, a new session, no terminal, then write argv[2] (a file) once a while."""
    if os.fork() == 0:
        try:
            os.setsid()
        except OSError:
            pass
        if os.fork() == 0:
            for s in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT):
                signal.signal(s, signal.SIG_IGN)
            null = os.open("/dev/null", os.O_RDWR)
            for fd in (0, 1, 2):
                os.dup2(null, fd)
            for _ in range(20):
                with open(sys.argv[2], "a") as f:
                    f.write("alive\n")
                time.sleep(0.1)
        os._exit(0)
    os.wait()
    time.sleep(0.3)
    return "left one behind"


def terminal_input():
    """Type into the terminal that will be the shell's again when we are gone."""
    for c in b"echo pwned\n":
        fcntl.ioctl(0, 0x5412, bytes([c]))
    return "typed"


def terminal_selection():
    fcntl.ioctl(0, 0x541C, b"\x02\0\0\0\0\0\0\0\0\0\0\0\0\0\0")
    return "pasted"
