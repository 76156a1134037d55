#!/bin/sh
# SPDX-License-Identifier: MIT
#
# shellcheck disable=SC2086 # $rule is a list
#
# Sockets: kinds that no rule can see, addresses that no rule names, and ways round connect(2).
. "${0%/*}/../cli/lib.sh"
. "$TESTS/escape/twin.sh"

kind='^refused: (EPERM|EACCES|EAFNOSUPPORT|EPROTONOSUPPORT|ENOSYS)$'

# The server: TCP and UDP, v4 and v6, two ports each and an abstract Unix socket. It counts what reaches it.
cat >server.py <<'END'
import os, selectors, socket, sys
sel = selectors.DefaultSelector()
ports = []
name = "\0pyisolate-test-%d" % os.getpid()
for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
    for i in range(2):
        s = socket.socket(socket.AF_INET6, kind)
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        s.bind(("::", 0))
        if kind == socket.SOCK_STREAM:
            s.setsockopt(6, 23, 5)
            s.listen(64)
        ports.append(s.getsockname()[1])
        sel.register(s, 1, str(ports[-1]))
for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
    u = socket.socket(socket.AF_UNIX, kind)
    u.bind(name + ("" if kind == socket.SOCK_STREAM else "-dgram"))
    if kind == socket.SOCK_STREAM:
        u.listen(64)
    sel.register(u, 1, "unix")
with open("ports.new", "w") as f:
    print(*ports, "@" + name[1:], file=f)
os.rename("ports.new", "ports")
while True:
    for key, _ in sel.select():
        s = key.fileobj
        if s.type == socket.SOCK_STREAM:
            c, _ = s.accept()
            if s.family == socket.AF_UNIX:
                c.send(b"hello from outside")
            c.close()
        else:
            s.recvfrom(100)
        with open("log", "a") as f:
            print(key.data, file=f)
END
: >log
"$python" -I server.py &
server=$!
at_exit "kill $server"
wait_for 10 test -s ports || skip_all "the server did not start: no IPv6 here?"
read -r tcp1 tcp2 udp1 udp2 abstract <ports

# reached PORT: how often something came there since the last look at the log.
quiet() { is "$(sleep 0.05; sort log | uniq -c)" "" "$1"; : >log; }
reached() {
	wait_for 3 grep -q "^$2\$" log
	like "$(cat log)" "^$2\$" "$1"
	: >log
}

# No net rule: no socket at all.
for attempt in vsock packet netlink alg raw-ip; do
	twin "$attempt without net rules" --want "$kind" $attempt
done
outside udp "$udp1"
reached "UDP without a net rule: arrives outside" "$udp1"
for attempt in udp udp-connected; do
	twin "$attempt without net rules" --want "$kind" --args "$udp1" $attempt
	sleep 0.1
	: >log
	inside -- $attempt "$udp1"
	quiet "$attempt without net rules: nothing arrived"
done
for attempt in tcp tcp-fastopen tcp-mapped mptcp; do
	twin "$attempt without net rules" --want "$kind" --args "$tcp1" $attempt
	sleep 0.1
	: >log
	inside -- $attempt "$tcp1"
	quiet "$attempt without net rules: nothing arrived"
done
for attempt in listen listen-unbound; do
	twin "$attempt without net rules" --want "$kind" $attempt
done
twin "an abstract socket of the host" --want "$kind" --args "$abstract" unix-connect
twin "a datagram pair pointed at an abstract socket" --want "$kind" --args "$abstract-dgram" unix-datagram
twin "binding an abstract socket" --want "$kind" --args "@pyisolate-test-bind" unix-bind
: >log

# With one rule: that address and no other. As root only: the allow-list is cgroup BPF.
if has root && has bpf-cgroup; then
	rule="--allow-net 127.0.0.1:$tcp1"
	inside $rule -- tcp "$tcp1"
	succeeded "a granted TCP port can be reached"
	reached "it was reached" "$tcp1"
	inside $rule -- tcp "$tcp2"
	refused "another port cannot"
	inside $rule -- tcp-fastopen "$tcp2"
	refused "nor by MSG_FASTOPEN" '^refused: (EPERM|EACCES|EOPNOTSUPP|ENOSYS)$'
	inside $rule -- tcp-mapped "$tcp2"
	refused "nor from an IPv6 socket"
	inside $rule -- mptcp "$tcp2"
	refused "nor by MPTCP" "$kind"
	inside $rule -- udp "$tcp1"
	refused "nor by UDP, no UDP rule being there" "$kind"
	inside $rule -- udp "$udp1"
	refused "another port by UDP neither" "$kind"
	inside $rule -- udp6 "$udp1"
	refused "nor over IPv6" "$kind"
	for attempt in vsock packet netlink alg raw-ip; do
		inside $rule -- $attempt
		refused "$attempt with a TCP rule" "$kind"
	done
	inside $rule -- unix-connect "$abstract"
	refused "an abstract socket of the host, with a TCP rule" "$kind"
	inside $rule -- unix-datagram "$abstract-dgram"
	refused "nor from a datagram pair" "$kind"
	inside $rule -- listen
	refused "listening, with a rule to connect"
	# listen(2) without bind(2) cannot be refused by address: it is the connections that do not get through.
	meet_listener() {	# COMMAND...: starts it and connects to the port it says
		"$@" >listener.out 2>&1 &
		listener=$!
		wait_for 30 grep -Eq '^(port|refused)' listener.out
		"$python" -I -c 'import socket, sys
socket.create_connection(("127.0.0.1", int(sys.argv[1])), 10)' "$(sed -n 's/^port //p' listener.out)" 2>/dev/null
		wait $listener
		out=$(cat listener.out)
	}
	meet_listener "$python" -I "$attack" serve-unbound
	like "$out" "^succeeded: met" "listening without binding: works outside"
	# shellcheck disable=SC2086 # a list
	meet_listener "$PYISOLATE" run --timeout 60s $rule "$attack" serve-unbound
	like "$out" "^refused: (nobody came|EPERM|EACCES)" "listening without binding, with a rule to connect: nobody gets through"
	quiet "none of that arrived"

	rule="--allow-net udp://127.0.0.1:$udp1"
	inside $rule -- udp "$udp1"
	succeeded "a granted UDP port can be reached"
	reached "it was reached" "$udp1"
	inside $rule -- udp "$udp2"
	refused "another cannot, by sendto"
	inside $rule -- udp-connected "$udp2"
	refused "nor by connect"
	inside $rule -- tcp "$tcp1"
	refused "nor TCP, with a rule for UDP" "$kind"
	quiet "none of that arrived"

	# A wide rule does not name loopback, link-local or metadata addresses.
	inside --allow-net '*:*' -- tcp "$tcp1"
	refused "loopback, where '*' is granted"
	quiet "nothing arrived"
	inside --allow-net "127.0.0.0/8:*" --deny-net "127.0.0.1:$tcp2" -- tcp "$tcp2"
	refused "a deny inside an allow"
	inside --allow-net "127.0.0.0/8:*" --deny-net "127.0.0.1:$tcp2" -- tcp-mapped "$tcp2"
	refused "a deny inside an allow, from an IPv6 socket"
	quiet "nothing arrived"
	inside --allow-net "127.0.0.0/8:*" --deny-net "127.0.0.1:$tcp2" -- tcp "$tcp1"
	succeeded "the allow itself holds"
	: >log

	# What a denied name means is not told either. (This mount namespace is the test's own.)
	{
		cat /etc/hosts
		printf '%s\n' "192.0.2.7 granted.test" "192.0.2.8 denied.test"
	} >hosts
	mount --bind hosts /etc/hosts
	run "$PYISOLATE" run --allow-net granted.test:443 --deny-net denied.test:443 -c 'print(open("/etc/hosts").read())'
	umount /etc/hosts
	contains "$out" "192.0.2.7 granted.test" "a granted name has its address inside"
	lacks "$out" "denied.test" "a denied one has not"

	# As a TCP connection is made once, so a datagram socket is connected and then sent from with an address.
	run "$PYISOLATE" run --allow-net "udp://127.0.0.1:$udp1" -c '
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.connect(("127.0.0.1", int(sys.argv[1])))
for send in (lambda: s.sendto(b"x", ("127.0.0.1", int(sys.argv[2]))),
             lambda: s.sendmsg([b"x"], [], 0, ("127.0.0.1", int(sys.argv[2])))):
    try:
        send()
        print("sent")
    except OSError as e:
        print("refused")' "$udp1" "$udp2"
	is "$out" "refused
refused" "a connected datagram socket does not reach elsewhere"
	quiet "nothing arrived"
else
	skip "$why" "net rules"
fi

# Nor does it see who else talks.
run "$PYISOLATE" run -c 'import os
for path in ("/sys/class/net", "/proc/self/net/tcp", "/proc/self/net/tcp6", "/proc/self/net/unix", "/proc/self/net/dev"):
    try:
        print(sorted(os.listdir(path)) if os.path.isdir(path) else open(path).read())
    except OSError as e:
        print(e.errno)'
unlike "$out" "pyisolate-test|eth|$(printf %04X "$tcp1")" "no view of the host's interfaces, connections and sockets"
contains "$(cat /proc/net/unix /proc/net/dev)" "pyisolate-test" "which the host shows"

done_testing
