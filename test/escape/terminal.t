#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The terminal that is the shell's again afterwards: typing into it, and what our own lines may carry.
. "${0%/*}/../cli/lib.sh"
. "$TESTS/escape/twin.sh"

# pty COMMAND...: runs it on a terminal of its own, then prints what was typed into that terminal meanwhile.
cat >pty.py <<'END'
import fcntl, os, pty, select, sys, termios, time
pid, master = pty.fork()
if pid == 0:
    # A shell's part: it waits for its child, then looks at its input.
    before = termios.tcgetattr(0)
    child = os.fork()
    if child == 0:
        os.execv(sys.argv[1], sys.argv[1:])
    os.waitpid(child, 0)
    print("SETTINGS", "the same" if termios.tcgetattr(0) == before else "changed")
    seen = b""
    while select.select([0], [], [], 0.3)[0]:
        seen += os.read(0, 100)
    print("TYPED:", seen)
    sys.stdout.flush()
    os._exit(0)
end = time.monotonic() + 30
out = b""
while time.monotonic() < end:
    if not select.select([master], [], [], 1)[0]:
        continue
    try:
        data = os.read(master, 4096)
    except OSError:
        break
    if not data:
        break
    out += data
sys.stdout.buffer.write(out)
END
run "$python" -I pty.py "$python" -I "$attack" terminal-input
if printf '%s' "$out" | grep -q 'TYPED: .*pwned'; then pass "TIOCSTI: works outside"; else
	skip "this kernel has TIOCSTI off for ordinary users" "TIOCSTI: works outside"
fi
run "$python" -I pty.py "$PYISOLATE" run "$attack" terminal-input
contains "$out" "refused:" "TIOCSTI: refused inside"
unlike "$out" 'TYPED: .*pwned' "TIOCSTI: nothing was typed"
run "$python" -I pty.py "$PYISOLATE" run "$attack" terminal-selection
contains "$out" "refused:" "TIOCLINUX: refused inside"
run "$python" -I pty.py "$PYISOLATE" run -c 'import os
try:
    print("tty:", os.open("/dev/tty", os.O_RDWR))
except OSError as e:
    print("refused:", e.errno)'
contains "$out" "refused:" "/dev/tty: refused inside"
run "$python" -I pty.py "$PYISOLATE" run -c 'import os
os.setpgid(0, 0) if os.getpgid(0) != os.getpid() else None
try:
    os.tcsetpgrp(0, os.getpgrp())
    print("took the terminal")
except OSError as e:
    print("refused:", e.errno)'
lacks "$out" "took the terminal" "the foreground of the terminal cannot be taken"

# Settings that would leave the shell without echo, line editing and interrupts.
settings='
import os, signal, termios
t = termios.tcgetattr(0)
t[3] &= ~(termios.ECHO | termios.ICANON | termios.ISIG)
termios.tcsetattr(0, termios.TCSANOW, t)
print("they were set")'
run "$python" -I pty.py "$python" -I -c "$settings"
like "$out" "SETTINGS changed" "terminal settings: stay changed outside"
run "$python" -I pty.py "$PYISOLATE" run -c "$settings"
like "$out" "they were set" "terminal settings: a guest may change them for itself"
like "$out" "SETTINGS the same" "terminal settings: the shell gets its own back"
run "$python" -I pty.py "$PYISOLATE" run --timeout 1s -c "$settings
while True:
    pass"
like "$out" "SETTINGS the same" "terminal settings: after a guest that was killed, too"

run "$python" -I pty.py sh -c 'exec "$@" </dev/null' sh "$PYISOLATE" run -c "$(printf %s "$settings" | sed 's/tcgetattr(0)/tcgetattr(1)/; s/tcsetattr(0,/tcsetattr(1,/')"
like "$out" "SETTINGS the same" "terminal settings: of standard output alone, too"

# What would stay on the terminal, and cannot be put back: exclusive use, output that was stopped, another size.
run "$python" -I pty.py "$PYISOLATE" run -c 'import fcntl, termios
for what, request, arg in (("exclusive", termios.TIOCEXCL, 0), ("stopped", termios.TCXONC, termios.TCOOFF),
                           ("size", termios.TIOCSWINSZ, b"\1\0\1\0\0\0\0\0")):
    try:
        fcntl.ioctl(1, request, arg)
        print(what, "was done")
    except OSError as e:
        print(what, "refused")'
contains "$out" "exclusive refused" "the terminal cannot be taken for oneself"
contains "$out" "stopped refused" "nor its output stopped"
contains "$out" "size refused" "nor its size changed"

# Open files that others go on with: who appends still appends, who waits still waits.
cat >flags.py <<'END'
import fcntl, os, subprocess, sys
child = """import fcntl, os
flags = fcntl.fcntl(1, fcntl.F_GETFL)
fcntl.fcntl(1, fcntl.F_SETFL, (flags | os.O_NONBLOCK | os.O_ASYNC) & ~os.O_APPEND)"""
log = os.open("log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
for what, fd in ("pipe", os.pipe()[1]), ("log", log), ("terminal", os.openpty()[1]):
    before = fcntl.fcntl(fd, fcntl.F_GETFL)
    subprocess.run(sys.argv[1:] + ["-c", child], stdout=fd)
    print(what, "as before" if fcntl.fcntl(fd, fcntl.F_GETFL) == before else "changed")
END
run "$python" -I flags.py "$python" -I
contains "$out" "log changed" "flags of an open file: stay changed outside"
run "$python" -I flags.py "$PYISOLATE" run
is "$out" "pipe as before
log as before
terminal as before" "flags of open files: are those of before again"

# Our own lines carry no control character, whatever a guest or a file is called.
esc=$(printf '\033')
bel=$(printf '\007')
clean() {
	if printf '%s' "$err" | LC_ALL=C tr -d '\n\t' | LC_ALL=C grep -q '[[:cntrl:]]'; then
		fail "$1"
		diag "$(printf '%s' "$err" | od -c | head -20)"
	else pass "$1"; fi
}
name="$T/a${esc}]0;owned${bel}${esc}[2Jb"
: >"$name"
# stderr is the guest's as well; what the guest prints is its own affair, so it prints nothing here.
run "$PYISOLATE" run -v --result "$T/r.json" -c 'import sys
try:
    open(sys.argv[1])
except OSError:
    pass' "$name"
clean "a denied path with control characters, with -v"
ok "the record is clean too" sh -c '! LC_ALL=C tr -d "\n\t" <"$1" | LC_ALL=C grep -q "[[:cntrl:]]"' sh "$T/r.json"
run "$PYISOLATE" run -c 'import sys
sys.excepthook = lambda *a: None
open(sys.argv[1])' "$name"
clean "the hint after an uncaught OSError"
run "$PYISOLATE" run "$name-missing"
exits 125 "a script that does not exist"
clean "a script's name with control characters"
run "$PYISOLATE" run --policy "$name.yml" -c pass
clean "a policy's name with control characters"
printf 'version: 1\n"a%s[31mb": 1\n' "\\e" >bad.yml
run "$PYISOLATE" run --policy "$T/bad.yml" -c pass
exits 125 "a policy with such a key"
clean "a key with control characters"
run "$PYISOLATE" run "--bad${esc}[31m" -c pass
exits 2 "an option with control characters"
clean "an option with control characters"
run "$PYISOLATE" run -- "/no/such/${esc}[31mprogram"
exits 127 "a command with control characters"
clean "a command with control characters"
run "$PYISOLATE" run -m "no_such_${esc}[31m_module"
isnt "$code" 0 "a module with control characters"

done_testing
