#!/bin/sh
# SPDX-License-Identifier: MIT
#
# run --audit and --suggest: what the policy does not grant is allowed and recorded, what it denies stays denied; the
# suggested policy loads, lets the same run pass with the same output, and is the least: without one of its lines the
# run fails.
. "${0%/*}/lib.sh"

if ! has root; then
	pyi run --audit -c pass
	exits 125 "an ordinary user cannot audit"
	contains "$err" "an audit needs root" "and is told why"
	is "$(printf '%s\n' "$err" | wc -l)" 1 "in one line"
	pyi run --suggest s.yml -c pass
	exits 125 "nor have a policy suggested"
	nok "and no file is made" test -e s.yml
	done_testing
	exit
fi
need bpf-cgroup

pyi run --suggest s.yml --dry-run -c pass
exits 2 "--suggest does not go with --dry-run"
nok "and makes no file" test -e s.yml

# ---- a job with all of it: files read, listed, made, written, moved; a module; a program; the network
mkdir in in/list many out lib
echo "ada 3" >in/a.txt
echo "unused" >in/b.txt
for i in 1 2 3 4; do echo "$i" >"many/$i.csv"; done
echo one >in/list/one
echo 'NAME = "helper"' >lib/helper.py
cat >job.py <<'END'
import glob, os, socket, subprocess, sys, tempfile
sys.path.append("lib")
import helper
print(helper.NAME, open("in/a.txt").read().strip())
print(sorted(os.listdir("in/list")))
print(sum(int(open(f"many/{i}.csv").read()) for i in range(1, 5)))
print(os.path.exists("in/b.txt"), os.path.exists("in/nothing"))
with tempfile.NamedTemporaryFile("w", dir="out", delete=False) as f:
    f.write("result")
os.rename(f.name, "out/result")
open("plain", "w").write("x")
open(tempfile.mktemp(), "w").write("scratch")
print(subprocess.run(["/usr/bin/env", "-i", "/bin/echo", "from a program"], capture_output=True, text=True).stdout.strip())
server = socket.create_server(("127.0.0.1", 0))
client = socket.create_connection(server.getsockname())
print("connected")
END
pyi run --suggest s.yml --result r.json job.py
exits 0 "an audit of a job"
contains "$err" "audit: nothing was denied by default" "says what it was"
is "$(printf '%s\n' "$err" | wc -l)" 1 "in one line"
cp "$OUT" audited
is "$(cat out/result)" result "what it writes is written"
is "$(stat -c %u out/result)" 0 "as the invoker's"
is "$(member r.json audit)" true "the result says that it was an audit"
is "$(member r.json denials_total)" 0 "nothing was denied"
ok "uses of what is not granted are counted" test "$(member r.json counters.warnings)" -gt 5
json_flat r.json >flat
contains "$(cat flat)" "	--allow-read $T/in/a.txt" "and each says what would grant it"
contains "$(cat flat)" "	$T/in/a.txt" "with its path"
run grep -c 'denials\.[0-9]*\.rule	fs: default$' flat
ok "and the rule by which it would have been denied" test "$out" -gt 5
pyi policy check s.yml
exits 0 "the suggestion is a policy"
diag "$(cat s.yml)"
for line in "- read: \"$T/in/a.txt\"  # 1 time, at job.py:4" "- read: \"$T/in/list\"  #" "- read: \"$T/many/*.csv\"  # 4 times, first at job.py:6" \
	"- read: \"$T/in/b.txt\"  #" "- write: \"$T/out\"  #" "- write: \"$T/plain\"  #" "- read: \"$T/lib/helper.py\"  #" \
	'- exec: "/usr/bin/env"  #' '- bind: "127.0.0.1:0"  #'; do
	contains "$(cat s.yml)" "$line" "it has $line"
done
lacks "$(cat s.yml)" "nothing" "not what was looked for in vain"
lacks "$(cat s.yml)" '"/tmp' "nothing of the private /tmp"
lacks "$(grep -v '^#' s.yml)" "\"$T\"" "not the directory of it all"
lacks "$(cat s.yml)" /etc/passwd "nothing that every sandbox has"
END_OF_RUN=$(cat plain)

# The port of a listener differs from run to run: a person widens that line, as the comment of the manual says.
sed 's/connect: "127.0.0.1:[0-9]*"/connect: "127.0.0.1:*"/' s.yml >wide.yml
rm -rf plain out && mkdir out
pyi run --policy wide.yml --result r.json job.py
exits 0 "enforced, the run passes"
is "$out" "$(cat audited)" "with the same output"
is "$(cat plain out/result)" "$END_OF_RUN""result" "and the same files"
is "$(member r.json audit)/$(member r.json denials_total)" false/0 "and nothing is denied"

# ---- least: without any of the lines that the job cannot do without it fails
for line in "in/a.txt" "in/list" "many/" "$T/out" lib/helper.py '"/usr/bin/env"' 'bind:' 'connect:'; do
	grep -vF -e "$line" wide.yml >less.yml
	# sections that are empty now
	grep -q '^  - \(connect\|bind\)' less.yml || sed -i '/^net:/d' less.yml
	pyi run -q --policy less.yml job.py
	isnt "$code" 0 "without the line of $line it fails"
done

# ---- what must be new is not there when the enforced run begins: the directory is what is granted
mkdir fresh
cat >new.py <<'END'
import os, tempfile
open("fresh/x", "x").write("1")
os.mkdir("fresh/dir")
with open("fresh/dir/deep", "x") as f: f.write("2")
fd, name = tempfile.mkstemp(dir="fresh", suffix=".tmp")
os.write(fd, b"3")
with tempfile.TemporaryFile(dir="fresh") as f: f.write(b"4")
with tempfile.NamedTemporaryFile(dir="fresh") as f: f.write(b"5")
with open("fresh/x", "a") as f: f.write("6")
print(open("fresh/x").read(), open("fresh/dir/deep").read(), open(name).read(), len(os.listdir("fresh")))
END
pyi run -q --suggest new.yml new.py
exits 0 "an audit of files that must be new"
is "$(grep '^  - [a-z]*: ' new.yml | cut -d'#' -f1)" "  - write: \"$T/fresh\"  " "their directory is suggested, and no file of it"
rm -r fresh && mkdir fresh
# What was measured is little, and an emulated machine's next run may take many times that.
pyi run --policy new.yml --cpu-time 5m --timeout 5m new.py
exits 0 "enforced, they are new again" || diag "$err"
is "$out" "16 2 3 3" "with the same output"
rm -r fresh && mkdir fresh
pyi run -q --suggest new.yml -c "open('fresh/alone', 'x')"
rm fresh/alone
pyi run --policy new.yml --cpu-time 5m --timeout 5m -c "open('fresh/alone', 'x')"
exits 0 "the same of one file and nothing else"

# ---- denials of the policy hold, its limits too, and the suggestion extends it
printf 'version: 1\nfs:\n  - read: %s\n  - deny: %s\nnet:\n  - deny: 127.0.0.1:9\nlimits: {memory: 128MiB}\n' "$T/lib" "$T/in/b.txt" >p.yml
pyi run --policy p.yml --deny-read many --env A=B --suggest s.yml --result r.json -c "import os, socket
for path in ['in/a.txt', 'in/b.txt', 'many/1.csv', 'lib/helper.py']:
    try: print(path, open(path).read().strip())
    except OSError as e: print(path, 'refused')
print(socket.socket().connect_ex(('127.0.0.1', 9)))
print(os.environ['A'])
try: bytearray(1 << 30)
except MemoryError: print('memory')"
is "$out" "in/a.txt ada 3
in/b.txt refused
many/1.csv refused
lib/helper.py NAME = \"helper\"
1
B
memory" "what the policy and the flags deny is denied, limits hold"
contains "$(cat s.yml)" "extends: \"$T/p.yml\"" "the suggestion extends the policy"
contains "$(cat s.yml)" "- deny: \"$T/many\"  # --deny-read" "and has the flags"
contains "$(cat s.yml)" '- set: "A=B"  # --env' "all of them"
contains "$(cat s.yml)" "- read: \"$T/in/a.txt\"" "and what was used"
lacks "$(cat s.yml)" helper.py "but for what the policy grants"
pyi policy check s.yml
exits 0 "and loads"
pyi run --policy p.yml --suggest p.yml -c pass
exits 125 "a suggestion cannot replace the policy it extends"
like "$(head -1 p.yml)" "^version" "which is as it was"

# ---- nothing of the guest's but paths gets into the text
mkdir evil
cat >evil.py <<'END'
import os
names = ['"quoted"', "a: b", "# x", "*", "[x]", "new\nline\n  - write: etc", "- item", "é", "back\\slash", "tab\t"]
for name in names:
    with open("evil/" + name, "w") as f: f.write("x")
    os.chmod("evil/" + name, 0o600)
code = compile("open('in/a.txt')", "name\nfs:\n  - write: /etc\n# ", "exec")
exec(code)
END
pyi run -q --suggest s.yml evil.py
exits 0 "names that look like a policy"
pyi policy check s.yml
exits 0 "make one that loads"
pyi policy why s.yml write /etc/x
exits 1 "and grants nothing else"
is "$(grep -c '^[a-z]*:' s.yml)" "$(grep -cE '^(version|extends|fs|limits):' s.yml)" "no line of it is the guest's"
pyi run -q --policy s.yml evil.py
exits 0 "and the run passes"

# ---- the file: whole or not at all, and as files are
umask 077
pyi run -q --suggest new.yml -c pass
is "$(stat -c %a new.yml)" 600 "has the mode the umask says"
umask 022
echo mine >kept.yml
pyi run --suggest kept.yml --policy nothing.yml -c pass
exits 125 "a run that cannot start"
is "$(cat kept.yml)" mine "leaves the file alone"
pyi run --suggest missing/s.yml -c pass
exits 125 "a directory that does not exist"
contains "$err" "missing/s.yml" "is an error that names the file"
if mkdir full && mount -t tmpfs -o size=4k tmpfs full 2>/dev/null; then
	at_exit umount "$T/full"
	head -c 4096 /dev/zero >full/x
	pyi run --suggest full/s.yml -c pass
	exits 125 "a full disk is an error"
	like "$err" "cannot write 'full/s.yml': No space" "that says so"
	is "$(ls full)" x "and leaves nothing behind"
else
	skip "no tmpfs can be mounted here" "a full disk"
fi
pyi run -q --suggest s.yml -c 'import sys; sys.exit(3)'
exits 3 "the exit code is the guest's"
contains "$(cat s.yml)" "did not pass: exited, exit code 3" "and the suggestion says so"

# ---- programs of the host
pyi run -q --suggest s.yml -- /bin/sh -c "cat $T/in/a.txt; ls $T/in/list"
cp "$OUT" audited
pyi run -q --policy s.yml -- /bin/sh -c "cat $T/in/a.txt; ls $T/in/list"
exits 0 "what was suggested for a command lets it pass"
is "$out" "$(cat audited)" "with the same output"
lacks "$(cat s.yml)" '"/usr' "and does not list what every command has"

# ---- what stays closed
cat >closed.py <<'END'
import os, socket
def attempt(what, call):
    try: print(what, call())
    except OSError as e: print(what, "refused")
attempt("sys", lambda: os.listdir("/sys/fs"))
attempt("state", lambda: os.listdir("/run/pyisolate"))
attempt("run", lambda: open("/run/pyitest-new", "w"))
attempt("metadata", lambda: socket.create_connection(("169.254.169.254", 80), 1))
attempt("kmsg", lambda: open("/dev/kmsg"))
attempt("setuid", lambda: os.setuid(0))
attempt("mount", lambda: open("/proc/sys/kernel/hostname"))
print(open("/etc/passwd").read().startswith("sandbox:"))
END
pyi run -q --audit closed.py
is "$out" "sys refused
state refused
run refused
metadata refused
kmsg refused
setuid refused
mount refused
True" "the sandbox's own places and the metadata service stay as they are"
# ---- what the guest says of its files is looked at, but nothing but a regular file is opened
mkfifo said
mkdir dir
(
	trap '' PIPE
	echo x >said
	echo opened >opened
) 2>opened.err &
writer=$!
cat >forge.py <<'END'
import os, sys
exec(compile("def f():\n os.stat(sys.argv[1])\n os.listdir(sys.argv[1])\nf()", sys.argv[2], "exec"))
END
pyi run --audit --suggest s.yml forge.py "$T/dir" "$T/said"
exits 0 "a program that says that it is a fifo"
contains "$(cat s.yml)" "at said:" "is believed as far as to be told"
nok "but nobody has opened it" test -e opened
cat said >read.out # so that the writer ends
wait $writer

done_testing
