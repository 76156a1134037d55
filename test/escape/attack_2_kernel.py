# SPDX-License-Identifier: MIT
# Attempts: system calls that lead out, and sockets.


AT_FDCWD = -100


def ptrace_parent():
    syscall(101, 0x4206, int(sys.argv[2]) if len(sys.argv) > 2 else os.getppid(), 0, 0)
    return "seized"


def process_vm_readv():
    pid = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    out = ctypes.create_string_buffer(8)
    local = buf(struct.pack("<QQ", ctypes.addressof(out), 8))
    remote = buf(struct.pack("<QQ", int(sys.argv[3], 0) if len(sys.argv) > 3 else 0x400000, 8))
    syscall(310, pid, local, 1, remote, 1, 0)
    return repr(out.raw)


def pidfd_getfd():
    pid = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    fd = syscall(434, pid, 0)
    return "descriptor %d" % syscall(438, fd, 0, 0)


def mount_tmpfs():
    target = buf("/tmp")
    syscall(165, buf("none"), target, buf("tmpfs"), 0, 0)
    syscall(166, target, 2)
    return "mounted"


def fsopen():
    return "descriptor %d" % syscall(430, buf("tmpfs"), 0)


def open_tree():
    return "descriptor %d" % syscall(428, AT_FDCWD, buf("/"), 1)


def mount_setattr():
    syscall(442, AT_FDCWD, buf("/"), 0, buf(struct.pack("<QQQQ", 0x80, 0, 0, 0)), 32)
    return "changed"


def unshare_user():
    syscall(272, 0x10000000)
    return "new user namespace"


def unshare_mount():
    syscall(272, 0x00020000)
    return "new mount namespace"


def unshare_net():
    syscall(272, 0x40000000)
    return "new network namespace"


def setns():
    pid = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    last = None
    for get, kind in (
        (lambda: os.open("/proc/%d/ns/net" % pid, os.O_RDONLY), 0),
        (lambda: os.open("/proc/self/ns/mnt", os.O_RDONLY), 0),
        (lambda: syscall(434, pid, 0), 0x00020000),
    ):
        try:
            syscall(308, get(), kind)
            return "entered"
        except OSError as e:
            last = e
    raise last


def _clone(flags):
    pid = syscall(56, flags | signal.SIGCHLD, 0, 0, 0, 0)
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    return "process %d" % pid


def clone_newuser():
    return _clone(0x10000000)


def clone_newns():
    return _clone(0x00020000)


def clone3():
    args = buf(struct.pack("<8Q", 0x10000000, 0, 0, 0, signal.SIGCHLD, 0, 0, 0))
    pid = syscall(435, args, 64)
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    return "process %d" % pid


def bpf():
    return "map %d" % syscall(321, 0, buf(struct.pack("<IIII", 2, 4, 8, 1) + bytes(112)), 128)


def perf_event_open():
    attr = buf(struct.pack("<IIQ", 1, 112, 0) + bytes(96))
    return "descriptor %d" % syscall(298, attr, 0, -1, -1, 0)


def userfaultfd():
    return "descriptor %d" % syscall(323, 0)


def io_uring():
    return "descriptor %d" % syscall(425, 4, buf(bytes(120)))


def keyctl():
    return "key %d" % syscall(248, buf("user"), buf("pyisolate-test"), buf("secret"), 6, -1)


def open_by_handle_at():
    handle = buf(struct.pack("<Ii", 120, 0) + bytes(120))
    try:
        syscall(303, AT_FDCWD, buf("/etc/passwd"), handle, buf(bytes(8)), 0)
    except OSError:
        struct.pack_into("<Iiq", handle, 0, 8, 1, 2)  # a guess: the root of a file system is often inode 2
    fd = os.open("/", os.O_RDONLY)
    got = syscall(304, fd, handle, 0)
    return os.read(got, 20).decode()


def kexec():
    syscall(246, 0, 0, 0, 0)
    return "an image was unloaded"


def personality():
    old = syscall(135, 0xFFFFFFFF)
    syscall(135, old | 0x0400000)
    return "READ_IMPLIES_EXEC set"


def chroot():
    syscall(161, buf("/"))
    return "changed the root"


def init_module():
    try:
        syscall(175, buf(b"\x7fELF"), 4, buf(""))
    except OSError as e:
        if e.errno != errno.ENOEXEC:
            raise
        return "the kernel looked at our module"


def kernel_log():
    out = ctypes.create_string_buffer(256)
    return "%d bytes" % syscall(103, 3, out, 256)


def sethostname():
    name = buf(os.uname().nodename)
    syscall(170, name, len(name.value))
    return "set"


def sched_fifo():
    syscall(144, 0, 1, buf(struct.pack("<i", 1)))
    return "real-time priority"


def fanotify():
    return "descriptor %d" % syscall(300, 0, 0)


def quotactl():
    out = ctypes.create_string_buffer(128)
    try:
        syscall(179, 0x80000100, buf("/dev/none"), 0, out)
    except OSError as e:
        if e.errno not in (errno.ENOENT, errno.ENOTBLK, errno.ENODEV, errno.ESRCH):
            raise
    return "the kernel answered"


def seccomp_listener():
    """Install a filter with a user-space listener over ourselves: its owner could answer in the kernel's stead."""
    syscall(157, 38, 1, 0, 0, 0)
    insn = buf(struct.pack("<HBBI", 6, 0, 0, 0x7FFF0000))
    prog = buf(struct.pack("<HxxxxxxQ", 1, ctypes.addressof(insn)))
    return "listener %d" % syscall(317, 1, 8, prog)


def x32():
    """The x32 entry point: another set of numbers for the same kernel (ENOSYS where it is not compiled in)."""
    syscall(0x40000000 + 39)
    return "x32 getpid answered"


def rwx_memory():
    m = mmap.mmap(-1, 4096, prot=7)
    m.close()
    return "writable and executable memory"


def make_executable():
    """Write code, then make it executable: what a JIT, or an exploit, does."""
    m = mmap.mmap(-1, 4096)
    m[:6] = b"\xb8\x2a\x00\x00\x00\xc3"
    address = ctypes.addressof(ctypes.c_char.from_buffer(m))
    syscall(10, address, 4096, 5)
    got = ctypes.CFUNCTYPE(ctypes.c_int)(address)()
    return "our machine code returned %d" % got


def int80():
    """getpid through the 32-bit entry. Needs machine code of our own; ours comes from memory or a file."""
    m = mmap.mmap(-1, 4096, prot=7)
    m[:8] = b"\xb8\x14\x00\x00\x00\xcd\x80\xc3"
    got = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(m)))()
    if got != os.getpid():
        raise Refused("int 0x80 said %d" % got)
    return "int 0x80 getpid answered"


def memfd_exec():
    fd = syscall(319, buf("x"), 0)
    with open(sys.argv[2] if len(sys.argv) > 2 else "/proc/self/exe", "rb") as f:
        os.write(fd, f.read())
    pid = os.fork()
    if pid == 0:
        try:
            null = buf("x")
            argv = buf(struct.pack("<QQ", ctypes.addressof(null), 0))
            syscall(322, fd, buf(""), argv, buf(bytes(8)), 0x1000)
        except OSError as e:
            os._exit(e.errno)
        os._exit(255)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if code in (errno.EPERM, errno.EACCES, errno.ENOSYS, 255):
        raise OSError(code, os.strerror(code))
    return "it ran and returned %d" % code


def _socket(family, kind, proto=0):
    socket.socket(family, kind, proto).close()
    return "a socket"


def vsock():
    return _socket(40, socket.SOCK_STREAM)


def packet():
    return _socket(17, socket.SOCK_RAW, socket.htons(3))


def netlink():
    return _socket(16, socket.SOCK_RAW)


def alg():
    return _socket(38, socket.SOCK_SEQPACKET)


def raw_ip():
    return _socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)


def udp():
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    return "sent %d bytes" % s.sendto(b"leak", ("127.0.0.1", int(sys.argv[2])))


def udp_connected():
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.connect(("127.0.0.1", int(sys.argv[2])))
    return "sent %d bytes" % s.send(b"leak")


def udp6():
    s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    return "sent %d bytes" % s.sendto(b"leak", ("::1", int(sys.argv[2])))


def tcp():
    socket.create_connection(("127.0.0.1", int(sys.argv[2])), 3).close()
    return "connected"


def tcp_fastopen():
    """MSG_FASTOPEN connects inside sendto: a filter that looks at connect alone would miss it."""
    s = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    return "sent %d bytes" % s.sendto(b"leak", 0x20000000, ("127.0.0.1", int(sys.argv[2])))


def mptcp():
    s = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262)
    s.connect(("127.0.0.1", int(sys.argv[2])))
    return "connected"


def tcp_mapped():
    """IPv4 through an IPv6 socket."""
    s = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
    s.connect(("::ffff:127.0.0.1", int(sys.argv[2])))
    return "connected"


def listen():
    s = socket.socket()
    s.bind(("127.0.0.1", 0))
    s.listen()
    return "listening on %d" % s.getsockname()[1]


def listen_unbound():
    """listen() without bind() binds to a port of the kernel's choice, with no bind for a filter to see."""
    s = socket.socket()
    s.listen()
    return "listening on %d" % s.getsockname()[1]


def serve_unbound():
    """The same, and see whether anyone gets through. The port is printed first."""
    s = socket.socket()
    s.listen()
    print("port", s.getsockname()[1], flush=True)
    s.settimeout(15)
    try:
        return "met %s" % s.accept()[1][0]
    except TimeoutError:
        raise Refused("nobody came") from None


def unix_connect():
    s = socket.socket(socket.AF_UNIX)
    name = sys.argv[2]
    s.connect("\0" + name[1:] if name.startswith("@") else name)
    return "said " + repr(s.recv(64))


def unix_bind():
    s = socket.socket(socket.AF_UNIX)
    name = sys.argv[2]
    s.bind("\0" + name[1:] if name.startswith("@") else name)
    return "bound"


def unix_datagram():
    """A socket pair's datagram end can be pointed elsewhere: sendto with an address."""
    a, _ = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    name = sys.argv[2]
    a.sendto(b"leak", "\0" + name[1:] if name.startswith("@") else name)
    return "sent"
