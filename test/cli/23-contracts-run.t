#!/bin/sh
# SPDX-License-Identifier: MIT
# shellcheck shell=sh
#
# Contracts in force, against a real server that writes down what reaches it: what holds is let through, what would
# break one is denied with its text, file and line; from many threads and processes at once exactly as many get through
# as a contract lets; on_violation ends the guest.
. "${0%/*}/lib.sh"
need root bpf-cgroup python3

cat >server.py <<'END'
import os, selectors, socket
sel = selectors.DefaultSelector()
ports = []
for kind in (socket.SOCK_STREAM, socket.SOCK_STREAM, socket.SOCK_DGRAM):
    s = socket.socket(socket.AF_INET, kind)
    s.bind(("127.0.0.1", 0))
    if kind == socket.SOCK_STREAM:
        s.listen(1024)
    ports.append(s.getsockname()[1])
    sel.register(s, 1)
with open("ports.new", "w") as f:
    print(*ports, file=f)
os.rename("ports.new", "ports")
while True:
    for key, _ in sel.select():
        s = key.fileobj
        if s.type == socket.SOCK_STREAM:
            s.accept()[0].close()
        else:
            s.recvfrom(100)
        os.write(1, b"%d\n" % s.getsockname()[1])
END
python3 -I server.py >log &
server=$!
at_exit "kill $server"
wait_for 10 test -s ports || skip_all "the server did not start"
read -r tcp1 tcp2 udp <ports

# arrived N PORT NAME: exactly so many reached that port since the last look.
arrived() {
	wait_for 5 test "$(grep -c "^$2\$" log)" -ge "$1"
	sleep 0.05
	is "$(grep -c "^$2\$" log)" "$1" "$3"
	: >log
}

# policy CONTRACT...: p.yml with a network, its contracts from line 9 on
policy() {
	cat >p.yml <<END
version: 1
on_violation: ${violation:-errno}
net:
  - connect: 127.0.0.0/8:$tcp1
  - connect: 127.0.0.1:$tcp2
  - connect: udp://127.0.0.1:$udp
  - bind: 127.0.0.1:0
END
	[ $# = 0 ] || echo contracts: >>p.yml
	for contract in "$@"; do printf '  - %s\n' "$contract" >>p.yml; done
}

# What the guest did, a word each: ok or the name of the errno.
cat >lib.py <<'END'
import errno, os, socket, sys, threading, time
def attempt(what, *args):
    try:
        what(*args)
        return "ok"
    except OSError as e:
        return errno.errorcode[e.errno]
def tcp(port, host="127.0.0.1"):
    socket.create_connection((host, port), 5).close()
def bind(port=0):
    socket.socket().bind(("127.0.0.1", port))
udp_socket = None
def send(port):
    global udp_socket
    udp_socket = udp_socket or socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp_socket.sendto(b"x", ("127.0.0.1", port))
tcp1, tcp2, udp = [int(a) for a in sys.argv[1:4]]
END
guest() {	# the code is on stdin
	cat lib.py - >guest.py
	pyi run --policy p.yml --timeout 60s --result r.json guest.py "$tcp1" "$tcp2" "$udp"
}

# --- the plain case, and its twin

policy 'net.connects <= 3'
guest <<'END'
print(*[attempt(tcp, tcp1) for _ in range(5)])
END
exits 0 "a guest that takes the refusal goes on"
is "$out" "ok ok ok EPERM EPERM" "the third connection is made, the fourth is denied"
arrived 3 "$tcp1" "and three reached the server"
is "$(member r.json denials.0.rule)" "contract: net.connects <= 3" "the record names the contract"
is "$(member r.json denials.0.file)" "p.yml:9" "with file and line"
is "$(member r.json denials.0.op) $(member r.json denials.0.address) $(member r.json denials.0.errno)" \
	"connect 127.0.0.1:$tcp1 EPERM" "and what was denied"
like "$(member r.json denials.0.at)" "guest.py:[0-9]+$" "and where in the script"
is "$(member r.json counters.denials) $(member r.json counters.contracts_broken) $(member r.json 'counters.net.connects')" \
	"2 2 3" "denied calls are counted, and not as connections"
is "$err" "pyisolate: contract 'net.connects <= 3' (p.yml:9) was broken by connect '127.0.0.1:$tcp1' at $(member r.json denials.0.at), the first of 2 times" \
	"one line says so"
policy
guest <<'END'
print(*[attempt(tcp, tcp1) for _ in range(5)])
END
is "$out$err" "ok ok ok ok ok" "without the contract all five are made"
arrived 5 "$tcp1" "and reach the server"
is "$(member r.json counters.contracts_broken)" 0 "none is broken"
policy 'net.connects <= 5'
guest <<'END'
print(*[attempt(tcp, tcp1) for _ in range(5)])
END
is "$out$err$(member r.json counters.contracts_broken)" "ok ok ok ok ok0" "and with one that holds, nothing is said"
: >log

# --- each counter: what holds and what does not

check() {	# NAME WANT CONTRACT...; the code is on stdin
	check_name=$1 check_want=$2
	shift 2
	policy "$@"
	guest
	is "$out" "$check_want" "$check_name"
}
check "datagrams" "ok ok EPERM ok" 'net.sends <= 2' <<'END'
print(*[attempt(send, udp) for _ in range(3)], attempt(tcp, tcp1))
END
check "binds" "ok EPERM ok" 'net.binds <= 1' <<'END'
print(*[attempt(bind) for _ in range(2)], attempt(tcp, tcp1))
END
check "sockets" "ok ok EPERM" 'net.sockets <= 2' <<'END'
print(*[attempt(socket.socket) for _ in range(3)])
END
is "$(member r.json denials.0.rule) $(member r.json denials.0.op)" "contract: net.sockets <= 2 socket" "with a record of its own"
check "a prefix and port" "ok EPERM ok ok EPERM" "'net.connects(\"127.0.0.0/8:$tcp1\") <= 1'" <<'END'
print(attempt(tcp, tcp1), attempt(tcp, tcp1), attempt(tcp, tcp2), attempt(tcp, tcp2), attempt(tcp, tcp1, "127.0.0.2"))
END
check "a protocol" "ok EPERM ok" "'net.connects(\"udp://*:*\") == 0 and net.connects <= 1'" <<'END'
def udp_connect():
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).connect(("127.0.0.1", udp))
print(attempt(tcp, tcp1), attempt(udp_connect), attempt(send, udp))
END
check "a sum" "ok ok EPERM EPERM" 'net.connects + 2 * net.sends <= 3' <<'END'
print(attempt(tcp, tcp1), attempt(send, udp), attempt(tcp, tcp1), attempt(send, udp))
END
check "one or the other" "ok ok EPERM" 'net.connects == 0 or net.sends == 0' <<'END'
print(attempt(tcp, tcp1), attempt(tcp, tcp1), attempt(send, udp))
END
check "the other way round" "ok ok EPERM" 'net.connects == 0 or net.sends == 0' <<'END'
print(attempt(send, udp), attempt(send, udp), attempt(tcp, tcp1))
END
check "in this order only" "EPERM ok ok" 'net.sends >= 1 or net.connects == 0' <<'END'
print(attempt(tcp, tcp1), attempt(send, udp), attempt(tcp, tcp1))
END
check "this event's port" "EPERM ok" "event.port != $tcp1" <<'END'
print(attempt(tcp, tcp1), attempt(tcp, tcp2))
END
check "none after a moment" "EPERM ok" 'time.elapsed <= 1ms or net.connects == 0' <<'END'
print(attempt(tcp, tcp1), attempt(send, udp))
END
check "within an hour" "ok" 'time.elapsed <= 1h or net.connects == 0' <<'END'
print(attempt(tcp, tcp1))
END
check "none before a while has passed" "ok" 'time.elapsed >= 2s or net.connects == 0' <<'END'
while attempt(tcp, tcp1) != "ok":
    time.sleep(0.05)
print("ok")
END
check "after three refusals nothing more" "ok EPERM EPERM EPERM ok EPERM EPERM" 'net.denied <= 3' <<'END'
print(attempt(tcp, tcp1), attempt(tcp, 1), attempt(tcp, 1), attempt(bind, 1), attempt(tcp, tcp1), attempt(bind, 1), attempt(tcp, tcp1))
END
check "the strictest of several" "ok EPERM" 'net.connects <= 9' 'net.connects <= 1' 'net.connects <= 5' <<'END'
print(attempt(tcp, tcp1), attempt(tcp, tcp1))
END
is "$(member r.json denials.0.file)" "p.yml:10" "is the one that is named"
# A call that another contract refuses has not happened for the first.
check "refused calls take nothing away" "ok EPERM ok" 'net.connects <= 2' "'net.connects(\"*:$tcp2\") == 0'" <<'END'
print(attempt(tcp, tcp1), attempt(tcp, tcp2), attempt(tcp, tcp1))
END
check "a failed connection is one all the same" "ECONNREFUSED EPERM" 'net.connects <= 1' <<'END'
print(attempt(tcp, tcp1, "127.0.0.3"), attempt(tcp, tcp1))
END
printf 'version: 1\nextends: p.yml\ncontracts: [net.sends == 0]\n' >child.yml
policy 'net.connects <= 1'
cat lib.py - >guest.py <<'END'
print(attempt(tcp, tcp1), attempt(tcp, tcp1), attempt(send, udp))
END
pyi run --policy child.yml guest.py "$tcp1" "$tcp2" "$udp"
is "$out" "ok EPERM EPERM" "a child keeps its parent's contracts"
: >log

# --- many at once

policy 'net.connects <= 100'
guest <<'END'
go = threading.Barrier(8)
made = []
def work():
    go.wait()
    for _ in range(25):
        if attempt(tcp, tcp1) == "ok":
            made.append(1)
children = []
for _ in range(3):
    pid = os.fork()
    if not pid:
        break
    children.append(pid)
threads = [threading.Thread(target=work) for _ in range(8)]
[t.start() for t in threads]
[t.join() for t in threads]
if len(children) < 3:
    sys.stdout.write("%d\n" % len(made))
    sys.stdout.flush()
    os._exit(0)
[os.waitpid(pid, 0) for pid in children]
print(len(made))
END
exits 0 "4 processes of 8 threads try 800 connections"
is "$(printf '%s\n' "$out" | awk '{ n += $1 } END { print NR, n }')" "4 100" "exactly 100 of them are made"
arrived 100 "$tcp1" "and reach the server"
is "$(member r.json 'counters.net.connects') $(member r.json counters.contracts_broken)" "100 700" "the others are counted as broken"

# --- on_violation

for violation in kill panic; do
	policy 'net.connects <= 1'
	start=$(date +%s)
	guest <<'END'
print(attempt(tcp, tcp1), flush=True)
print(attempt(tcp, tcp1), flush=True)
while True:
    attempt(tcp, tcp2)
    attempt(send, udp)
END
	exits 159 "$violation: a broken contract ends the guest"
	ok "$violation: at once" test $(($(date +%s) - start)) -lt 10
	like "$out" "^ok
EPERM\$" "$violation: not before it is broken"
	is "$(member r.json reason)" "$(test $violation = kill && echo policy || echo panic)" "$violation: the reason"
	is "$(member r.json denials.0.rule) $(member r.json denials.0.file)" "contract: net.connects <= 1 p.yml:9" "$violation: the record"
	like "$err" "^pyisolate: contract 'net.connects <= 1' \(p.yml:9\) was broken by connect '127.0.0.1:$tcp1'.*: the guest was ended \(on_violation\)\$" \
		"$violation: one line"
	arrived 1 "$tcp1" "$violation: what came before reached the server"
	is "$(cat log)" "" "$violation: nothing came after it, to whatever address"
done
violation="kill"
policy 'net.connects <= 1'
guest <<'END'
attempt(tcp, tcp1)
attempt(tcp, tcp1)
os._exit(0)
END
exits 159 "a guest that leaves by itself first has broken it all the same"
: >log
policy 'net.connects <= 1'
guest <<'END'
print(attempt(tcp, tcp1), attempt(tcp, 1))
END
is "$code $out" "0 ok EPERM" "a rule's refusal ends nothing"
policy 'net.denied == 0'
guest <<'END'
print(attempt(tcp, tcp1), flush=True)
attempt(tcp, 1)
time.sleep(20)
END
is "$code $out" "159 ok" "unless a contract speaks of it"
violation=

# --- files and programs

if has bpf-lsm; then
	mkdir out
	cp "$HELPERS/true" true
	cat >files.yml <<END
version: 1
fs:
  - write: $T/out
exec: [{allow: $T/true}]
net: [{connect: "127.0.0.1:$tcp1"}]
contracts:
  - fs.creates <= 2
  - exec.count == 0 or net.connects == 0
END
	cat lib.py - >guest.py <<'END'
def create(name):
    os.close(os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
def execute():
    pid = os.posix_spawn(sys.argv[4] + "/true", ["true"], {})
    if os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]):
        raise OSError(errno.EIO, "it did not run")
print(*[attempt(create, sys.argv[4] + "/out/" + n) for n in "abc"], attempt(execute), attempt(tcp, tcp1))
END
	pyi run --policy files.yml --result r.json guest.py "$tcp1" "$tcp2" "$udp" "$T"
	is "$out" "ok ok EPERM ok EPERM" "names that are made, and programs or the network but not both"
	is "$(member r.json denials.0.rule) $(member r.json denials.0.file) $(member r.json denials.0.op) $(member r.json denials.0.path)" \
		"contract: fs.creates <= 2 files.yml:7 create $T/out/c" "the record names contract and path"
	is "$(member r.json denials.1.rule) $(member r.json denials.1.op)" \
		"contract: exec.count == 0 or net.connects == 0 connect" "and the other contract"
	is "$(member r.json 'counters.exec.count')" 1 "programs are counted"

	# By path: what a pattern covers, and nothing else.
	cat >paths.yml <<END
version: 1
fs:
  - write: $T/out
  - read: $T/in
contracts:
  - 'fs.opens("$T/in/**") <= 1'
  - 'fs.creates("$T/out/*.tmp") == 0 or fs.deletes("$T/out/**") == 0'
END
	mkdir -p in
	echo text | tee in/a in/b >out/old
	chmod 0666 out/old
	cat lib.py - >guest.py <<'END'
top = sys.argv[4]
def create(name):
    os.close(os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
print(attempt(open, top + "/in/a"), attempt(open, top + "/in/b"), attempt(open, top + "/out/old"),
      attempt(create, top + "/out/x.tmp"), attempt(os.unlink, top + "/out/old"),
      attempt(os.rename, top + "/out/x.tmp", top + "/out/x"), attempt(create, top + "/out/y"))
END
	pyi run --policy paths.yml --result r.json guest.py "$tcp1" "$tcp2" "$udp" "$T"
	is "$out" "ok EPERM ok ok EPERM EPERM ok" "each path counts for the patterns that cover it"
	is "$(member r.json denials.0.rule) $(member r.json denials.0.file) $(member r.json denials.0.path)" \
		"contract: fs.opens(\"$T/in/**\") <= 1 paths.yml:6 $T/in/b" "the record names contract and path"
	ok "what was denied did not happen" test -e out/old -a -e out/x.tmp -a -e out/y -a ! -e out/x
	ln -s in linked
	printf 'version: 1\nfs: [{read: %s}]\ncontracts:\n  - '\''fs.opens("%s/linked/*") == 0'\''\n' "$T/in" "$T" >linked.yml
	pyi run --policy linked.yml -c pass
	exits 125 "a pattern below a symbolic link would count nothing"
	contains "$err" "write \"$T/in/*\"" "the error says what to write instead"
else
	skip "$why" "files and programs"
fi

# --- where there is no network, a contract about it holds

printf 'version: 1\nextends: compute-only\ncontracts:\n  - net.connects <= 3\n' >none.yml
pyi run --policy none.yml -c 'import socket
try:
    socket.socket()
except OSError as e:
    print("refused")'
is "$code$out$err" "0refused" "without a net rule there is nothing to count"
pyi run --dry-run --policy p.yml -c pass
contains "$out" "contracts
  net.denied == 0  (p.yml:9)
     0  net.denied == 0 ? holds : broken" "--dry-run shows the byte code"
done_testing
