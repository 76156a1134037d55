#!/bin/sh
# SPDX-License-Identifier: MIT
#
# BPF LSM as a layer of a run: what only it can hold is held and recorded with the rule's line; and with Landlock and
# seccomp taken away by an outer filter it refuses by itself what the other layers refuse too. Where the kernel takes no
# LSM programs this is skipped: the virtual machine's does.
. "${0%/*}/../cli/lib.sh"
need root bpf-lsm helper:denysys
. "$TESTS/escape/twin.sh"

mkdir -p w/sub p data
echo text | tee w/file w/sub/file w/old.key p/in data/file >/dev/null
chmod -R a+rwX w p data
cat >p.yml <<END
version: 1
fs:
  - write: $T/w
  - deny: $T/w/**/*.key
  - deny: $T/w/later
  - write: $T/p/*.out
  - read: $T/data
limits: {memory: 256MiB}
END

# --- rules that nothing else can hold
cat >job.py <<'END'
import os, sys

def attempt(what, call):
	try:
		call()
		print(what, "ok")
	except OSError as e:
		print(what, os.strerror(e.errno) if e.errno not in (1, 13, 18) else "refused")

w, p = sys.argv[1:]
attempt("file", lambda: open(w + "/new", "w").write("x"))
attempt("key", lambda: open(w + "/new.key", "w"))
attempt("rename", lambda: os.rename(w + "/new", w + "/sub/new.key"))
attempt("link", lambda: os.link(w + "/file", w + "/hard.key"))
attempt("later", lambda: os.mkdir(w + "/later"))
attempt("other", lambda: os.mkdir(w + "/other"))
attempt("moved", lambda: os.rename(w + "/other", w + "/later"))
attempt("old", lambda: open(w + "/old.key"))
attempt("out", lambda: open(p + "/new.out", "w").write("x"))
attempt("in", lambda: open(p + "/in"))
attempt("made", lambda: open(p + "/new.in", "w"))
attempt("list", lambda: os.listdir(p))
attempt("removed", lambda: os.unlink(p + "/in"))
END
run "$PYISOLATE" run --mode hardened --policy p.yml --result r.json job.py "$T/w" "$T/p"
exits 0 "patterns that deny and patterns for writing: hardened runs" || :
is "$(member r.json layers.bpf-lsm.state)" on "the result lists bpf-lsm as on"
is "$out" "file ok
key refused
rename refused
link refused
later refused
other ok
moved refused
old refused
out ok
in refused
made refused
list refused
removed refused" "each new file is judged by the patterns"
ok "what was allowed was written" test -s w/new -a -s p/new.out -a -d w/other
ok "what was denied was not" test ! -e w/new.key -a ! -e w/sub/new.key -a ! -e w/hard.key -a ! -e w/later -a \
	! -e p/new.in -a -e p/in
denials=$(json_flat r.json | grep '^denials\.')
first=$(printf '%s\n' "$denials" | awk -F'\t' -v p="$T/w/new.key" '$1 ~ /path$/ && $2 == p { sub(/path$/, "", $1); print $1; exit }')
is "$(member r.json "${first}rule")" "fs: deny $T/w/**/*.key" "the record names the rule"
like "$(member r.json "${first}file")" 'p\.yml:4$' "its file and line"
is "$(member r.json "${first}op")/$(member r.json "${first}errno")" create/EPERM "the hook and the errno"
like "$(member r.json "${first}at")" 'job\.py:12$' "and the line of the script"
is "$(member r.json "${first}claim")" "" "which is the kernel's word, not the guest's"
contains "$denials" "$T/p/in" "what no rule allows is in the record"
run "$PYISOLATE" run --dry-run --mode hardened --policy p.yml -c pass
like "$out" '^paths +automaton of [0-9]+ states' "a dry run tells the automaton's size"

# --- in a cgroup namespace that hides how deep its groups are: the programs find their own by another way
group=/sys/fs/cgroup/lsm-$$
cat >apart <<'END'
#!/bin/sh
echo $$ >"$1/cgroup.procs" || exit 9
shift
exec unshare --cgroup --mount --propagation private \
	sh -c 'mount -t cgroup2 none /sys/fs/cgroup && mount -t bpf none /sys/fs/bpf && mkdir /sys/fs/cgroup/own &&
		echo $$ >/sys/fs/cgroup/own/cgroup.procs && exec "$@"' sh "$@"
END
mkdir "$group"
at_exit "find $group -depth -type d -exec rmdir {} +"
run sh apart "$group" "$PYISOLATE" run --mode hardened --policy p.yml --result r.json -c '
import sys
for name in "file", "old.key":
	try: print(name, open(sys.argv[1] + "/w/" + name).read().strip())
	except OSError: print(name, "refused")' "$T"
exits 0 "in a cgroup namespace of its own"
is "$(member r.json layers.bpf-lsm.state)" on "the layer is on"
is "$out" "file text
old.key refused" "and judges"

# In mode dev what is to be warned about is let through, and each use is in the record.
printf 'version: 1\nfs:\n  - warn: %s\n' "$T/data" >warn.yml
pyi run --mode dev --policy warn.yml --result r.json -c "print(open('$T/data/file').read().strip())"
is "$out" text "warn lets through in mode dev"
is "$(member r.json denials.0.warning)/$(member r.json denials.0.path)" "true/$T/data/file" "and records the use"
like "$(member r.json denials.0.file)" 'warn\.yml:3$' "with the rule's line"

# --- alone: without Landlock and seccomp
cat >alone <<END
#!/bin/sh
[ "\$1" = run ] || exec "$PYISOLATE" "\$@"
shift
exec "$HELPERS/denysys" landlock_create_ruleset=EOPNOTSUPP,seccomp=EINVAL,prctl:SET_SECCOMP=EINVAL -- \\
	"$PYISOLATE" run --mode compatibility "\$@"
END
chmod 0755 alone
PYISOLATE=$T/alone
pyi run --result r.json -c 'print("ran")'
is "$out" ran "without Landlock and seccomp a guest runs"
is "$(member r.json layers.landlock.state) $(member r.json layers.seccomp.state) $(member r.json layers.bpf-lsm.state)" \
	"off off on" "Landlock and seccomp are off, bpf-lsm is on"

sleep 300 &
victim=$!
at_exit "kill $victim"
true=$(readlink -f /bin/true)
mkdir granted other
echo "the public text" >granted/file
chmod -R a+rwX granted other
G=$T/granted
for attempt in write append truncate open-truncate chmod unlink rename reopen-writable; do
	echo "the public text" >granted/file
	inside --allow-read "$G" -- "$attempt" "$G/file"
	refused "alone: $attempt on a read-only grant"
	is "$(cat granted/file)" "the public text" "alone: $attempt changed nothing"
done
echo "the public text" >granted/file
inside --allow-read "$G" --allow-write "$T/other" -- hard-link "$G/file" "$T/other"
refused "alone: a hard link into a writable grant" '^refused: (EPERM|EACCES|EXDEV|EROFS)$'
inside --allow-read "$true" -- run-program "$true"
refused "alone: a program that may only be read" '^refused: (EPERM|EACCES)$'
inside --allow-write "$T/other" --allow-read "$true" -- copied-binary "$T/other" "$true"
refused "alone: a copied program" '^refused: (EPERM|EACCES)$'
rm -f other/*
inside -- copied-binary /tmp "$true"
isnt "$code" 0 "alone: a copied program in /tmp"
# Everything that seccomp would have refused, through the C program: each system call that must not succeed.
pyi run --result r.json -c '
import ctypes, os, socket
libc = ctypes.CDLL(None, use_errno=True)
def call(name, *args):
	r = getattr(libc, name)(*args)
	print(name, "ok" if r >= 0 else os.strerror(ctypes.get_errno()))
	return r
call("unshare", 0x10000000)
call("mount", b"none", b"/tmp", b"tmpfs", 0, None)
call("umount2", b"/tmp", 2)
call("chroot", b"/tmp")
for nr, name in ((321, "bpf"), (298, "perf"), (425, "io_uring")):
	buf = ctypes.create_string_buffer(256)
	if name == "io_uring": buf[8] = 2
	r = libc.syscall(nr, 0 if name != "io_uring" else 4, buf, 120 if name == "bpf" else 0, -1, -1, 0)
	print(name, "ok" if r >= 0 else "refused")
libc.mmap.restype = ctypes.c_void_p
p = libc.mmap(None, ctypes.c_size_t(4096), 7, 0x22, -1, ctypes.c_long(0))
print("wx", "refused" if p in (None, 2**64 - 1) else "ok")
for family in (socket.AF_UNIX, socket.AF_INET, socket.AF_NETLINK, socket.AF_PACKET):
	try:
		s = socket.socket(family, socket.SOCK_RAW if family > 10 else socket.SOCK_STREAM)
		if family == socket.AF_UNIX: s.connect("\0nobody")
		print(family.name, "ok")
	except OSError as e:
		print(family.name, "refused" if e.errno in (1, 13) else os.strerror(e.errno))
'
unlike "$out" ' ok$' "alone: nothing of the kernel's surface is to be had"
for surface in userns bpf; do
	contains "$(json_flat r.json | grep '^denials')" "	$surface" "alone: $surface is in the record"
done
contains "$out" "AF_NETLINK refused" "alone: no netlink socket"
contains "$out" "AF_UNIX refused" "alone: no Unix socket is reached"
run "$PYISOLATE" run --allow-net 127.0.0.1:9 -c '
import socket
for port in (9, 10):
	try:
		socket.create_connection(("127.0.0.1", port), 1)
	except OSError as e:
		print(port, e.errno)'
is "$out" "9 111
10 1" "alone: the address that is granted is reached, the other is not"

# The pins and the groups stay out of reach even of a rule that grants them: the resolver refuses such a rule.
for path in /sys/fs/bpf /sys/fs/cgroup; do
	pyi run --allow-write $path -c pass
	exits 125 "$path cannot be granted for writing"
done

done_testing
