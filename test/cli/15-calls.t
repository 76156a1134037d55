#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The system call filter as users meet it: what ordinary programs do goes on under on_violation: kill, what is refused
# ends them there, and memory that becomes executable is refused only where nothing else is executed.
. "${0%/*}/lib.sh"

# ---- on_violation: kill ends a program for what no honest one does, not for what libraries try and do without
cat >kill.yml <<'END'
version: 1
on_violation: kill
END
cat >honest.py <<'END'
import asyncio, ctypes, fcntl, getpass, mmap, os, pwd, resource, select, shutil, signal, socket, sqlite3
import syslog, tempfile, threading, time, multiprocessing

def attempt(name, call):
    try:
        call()
    except OSError:
        pass

def copy():
    open("/tmp/x", "w").write("1")
    shutil.copy2("/tmp/x", "/tmp/y")
    os.chmod("/tmp/y", 0o600)
    os.utime("/tmp/y")
    os.truncate("/tmp/y", 0)
    os.rename("/tmp/y", "/tmp/z")
    os.link("/tmp/z", "/tmp/l")

async def loop():
    r, w = os.pipe()
    ready = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().add_reader(r, lambda: ready.set_result(os.read(r, 1)))
    os.write(w, b"z")
    await ready
    await asyncio.to_thread(time.sleep, 0.01)
    a, b = socket.socketpair()
    reader, writer = await asyncio.open_connection(sock=a)
    b.send(b"x\n")
    assert await reader.readline() == b"x\n"

for n in range(8):
    threading.Thread(target=time.sleep, args=(0.01,)).start()
asyncio.run(loop())
attempt("copy", copy)
attempt("symlink", lambda: os.symlink("a", "/tmp/b"))
attempt("unix socket", lambda: socket.socket(socket.AF_UNIX))
attempt("interfaces", socket.if_nameindex)
attempt("addresses", lambda: socket.getaddrinfo("localhost", 80))
attempt("log", lambda: syslog.syslog("x"))
attempt("memfd", lambda: os.memfd_create("x"))
attempt("sync", os.sync)
attempt("terminal", lambda: os.get_terminal_size(0))
attempt("user", getpass.getuser)
attempt("affinity", lambda: os.sched_setaffinity(0, os.sched_getaffinity(0)))
attempt("limit", lambda: resource.setrlimit(resource.RLIMIT_CORE, (0, 0)))
attempt("fifo", lambda: os.mkfifo("/tmp/f"))
attempt("lock", lambda: fcntl.flock(os.open("/tmp/x", 0), fcntl.LOCK_EX))
sqlite3.connect("/tmp/d.db").execute("pragma journal_mode=wal").fetchall()
assert ctypes.CFUNCTYPE(ctypes.c_int)(lambda: 3)() == 3
pid = os.fork()
if not pid:
    os._exit(3)
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 3
print("all done")
END
pyi run --policy ./kill.yml honest.py
exits 0 "an honest program ends by itself where violations kill"
is "$out" "all done" "having done everything"

for what in 'os.execv("/bin/true", ["true"])' 'socket.socket()' 'os.unshare(os.CLONE_NEWUSER)' \
	'os.chmod("/tmp", 0o4755)' 'os.setuid(0)' 'os.mknod("/tmp/d", 0o020600, os.makedev(1, 3))'; do
	pyi run --policy ./kill.yml -c "import os, socket; $what; print('went on')"
	exits 159 "where violations kill: $what"
	is "$out" "" "nothing of it went on"
	pyi run -c "import os, socket
try: $what
except OSError as e: print(type(e).__name__)"
	is "$out" PermissionError "where they do not, it is a PermissionError"
done

# ---- memory that becomes executable
pages='import mmap
try:
    mmap.mmap(-1, 4096, prot=7)
    print("writable and executable")
except OSError as e:
    print(type(e).__name__)'
pyi run -c "$pages"
is "$out" PermissionError "no page is writable and executable in the embedded Python"
if has python3; then
	host=$(command -v /usr/bin/python3 || command -v python3)
	pyi run -- "$host" -c "$pages"
	is "$out" "writable and executable" "programs of the host may compile as they run"
	pyi run --allow-read /usr --allow-run /usr --allow-run /lib --allow-run /lib64 -c "import subprocess, sys
print(subprocess.run(['$host', '-c', sys.argv[1]], capture_output=True, text=True).stdout, end='')" "$pages"
	is "$out" "writable and executable" "and so may those that the embedded Python starts"
fi

done_testing
