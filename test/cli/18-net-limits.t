#!/bin/sh
# SPDX-License-Identifier: MIT
#
# How much a sandbox may send and receive (--net-bytes) and how fast (--net-rate), against real servers on loopback that
# count for themselves.
. "${0%/*}/lib.sh"

pyi run --net-bytes 0 -c pass
exits 125 "no bytes at all are refused"
contains "$err" "net_bytes" "by name"
pyi run --net-rate 1B -c pass
exits 125 "so is a rate that lets nothing through"
contains "$err" "net_rate" "by name"
pyi run --net-bytes 1MiB --net-rate 1MiB --result r.json -c 'print("in")'
exits 0 "a sandbox without network"
is "$out" in "runs with them all the same"
is "$(member r.json counters.net_rx_bytes)$(member r.json counters.net_tx_bytes)" 00 "and has used nothing"
printf 'version: 1\nlimits: {net_bytes: 10MiB, net_rate: 1.5MiB/s}\n' >p.yml
pyi policy show "$T/p.yml"
contains "$out" "net_bytes: 10MiB" "a policy has net_bytes"
contains "$out" "net_rate: 1536KiB" "and net_rate"
cp "$OUT" shown.yml
pyi policy show "$T/shown.yml"
contains "$out" "net_rate: 1536KiB" "and what is shown reads as the same"
printf 'version: 1\nlimits: {net_byte: 10MiB}\n' >p.yml
pyi policy check "$T/p.yml"
contains "$err$out" "net_bytes" "a key that is nearly it gets the hint"

need root bpf-cgroup python3

# Commands on the first line: "send N" sends N bytes, "take" counts what comes. `received` has the bytes that TCP and UDP
# brought, written anew each time.
cat >server.py <<'END'
import os, select, socket, sys, threading
counts = {"tcp": 0, "udp": 0}
lock = threading.Lock()
def count(kind, n):
    with lock:
        counts[kind] += n
        with open("received.new", "w") as f:
            print(counts["tcp"], counts["udp"], file=f)
        os.rename("received.new", "received")
def serve(c):
    try:
        line = b""
        while not line.endswith(b"\n"):
            line += c.recv(1)
        if line.startswith(b"send"):
            c.sendall(bytes(int(line.split()[1])))
        else:
            while data := c.recv(1 << 16):
                count("tcp", len(data))
        c.close()
    except OSError:
        pass
tcp = socket.create_server(("127.0.0.1", 0))
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
udp.bind(("127.0.0.1", 0))
with open("ports.new", "w") as f:
    print(tcp.getsockname()[1], udp.getsockname()[1], file=f)
os.rename("ports.new", "ports")
while True:
    for s in select.select([tcp, udp], [], [])[0]:
        if s is tcp:
            threading.Thread(target=serve, args=(s.accept()[0],), daemon=True).start()
        else:
            count("udp", len(s.recv(1 << 16)))
END
python3 -I server.py 2>server.err &
server=$!
at_exit "kill $server"
wait_for 10 test -s ports || skip_all "the server did not start"
read -r tcp udp <ports
net="--allow-net 127.0.0.1:$tcp --allow-net udp://127.0.0.1:$udp --timeout 60s --result r.json"
received() {	# TCP|UDP: what arrived since the last call, once no more does
	sleep 0.3
	[ -s received ] || echo 0 0 >received
	read -r all_tcp all_udp <received
	case $1 in tcp) got=$((all_tcp - ${had_tcp:-0})) had_tcp=$all_tcp ;; udp) got=$((all_udp - ${had_udp:-0})) had_udp=$all_udp ;; esac
}
used() { echo $(($(member r.json counters.net_rx_bytes) + $(member r.json counters.net_tx_bytes))); }

cat >guest.py <<'END'
import socket, sys, time
verb, port, n = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
began = time.monotonic()
if verb == "get":
    s = socket.create_connection(("127.0.0.1", port))
    s.sendall(b"send %d\n" % n)
    got = 0
    while data := s.recv(1 << 16):
        got += len(data)
    assert got == n, got
elif verb == "put":
    s = socket.create_connection(("127.0.0.1", port))
    s.sendall(b"take\n")
    for i in range(0, n, 4096):
        s.sendall(bytes(min(4096, n - i)))
    s.shutdown(socket.SHUT_WR)
    s.recv(1)
else:
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    for i in range(0, n, 1000):
        try:
            s.sendto(bytes(1000), ("127.0.0.1", port))
        except PermissionError:
            pass
        if verb == "slowly":
            time.sleep(0.001)
print(verb, int((time.monotonic() - began) * 1000))
END

# shellcheck disable=SC2086 # $net is a list
guest() { pyi run $net "$@"; }

# ---- below and above
guest --net-bytes 4MiB guest.py get "$tcp" 1000000
exits 0 "receiving less than the limit"
ok "is counted: $(used) bytes" test "$(used)" -ge 1000000 -a "$(used)" -le 1500000
is "$(member r.json counters.net_dropped_packets)" 0 "and nothing is dropped"
guest --net-bytes 1MiB guest.py get "$tcp" 8000000
exits 153 "receiving more"
is "$(member r.json reason)" net_bytes "ends with the reason"
is "$(member r.json exit_code)" 153 "and the code in the result"
like "$err" '^pyisolate: .*1MiB.*--net-bytes' "one line names the limit and the flag"
is "$(member r.json events.0.kind)" NET_LIMIT "the event"
is "$(member r.json events.0.limit_bytes) $(member r.json events.0.bytes)" "1048576 $(used)" "with its figures"
ok "no more than the limit came in: $(used)" test "$(used)" -le 1048576
ok "the rest was dropped" test "$(member r.json counters.net_dropped_packets)" -gt 0

received tcp
guest --net-bytes 4MiB guest.py put "$tcp" 1000000
exits 0 "sending less than the limit"
received tcp
is "$got" 1000000 "all of it arrives"
guest --net-bytes 1MiB guest.py put "$tcp" 8000000
exits 153 "sending more"
received tcp
ok "the server saw some of it, and no more than the limit: $got" test "$got" -gt 100000 -a "$got" -le 1048576

received udp
guest --net-bytes 4MiB guest.py slowly "$udp" 200000
exits 0 "datagrams below the limit"
received udp
is "$got" 200000 "all of them arrive"
guest --net-bytes 100KiB guest.py slowly "$udp" 200000
exits 153 "datagrams above, to a guest that takes no notice of the refusal"
received udp
ok "the server saw less than the limit: $got" test "$got" -gt 50000 -a "$got" -le 102400
is "$(member r.json reason)" net_bytes "the reason"

# ---- all of the sandbox counts
# shellcheck disable=SC2086
pyi run $net --net-bytes 1MiB -c "
import os, runpy, sys
for i in range(4):
    if os.fork() == 0:
        import socket
        s = socket.create_connection(('127.0.0.1', $tcp))
        s.sendall(b'send 500000\n')
        while s.recv(1 << 16): pass
        os._exit(0)
for i in range(4): os.wait()"
exits 153 "four processes with half the limit each"
guest --net-bytes 1 guest.py get "$tcp" 10
exits 153 "one byte: not even a connection"
is "$(used)" 0 "nothing passed"
guest --net-bytes 8000000TiB guest.py get "$tcp" 1000
exits 0 "more than there is"

# A server inside: what is sent to it counts for it.
# shellcheck disable=SC2016
"$PYISOLATE" run --allow-net bind:127.0.0.1:0 --net-bytes 1MiB --timeout 60s --result r.json -c '
import socket
s = socket.create_server(("127.0.0.1", 0))
print(s.getsockname()[1], flush=True)
c = s.accept()[0]
while c.recv(1 << 16): pass' >inside.port 2>"$ERR" &
guest_pid=$!
ok "a server inside listens" wait_for 10 test -s inside.port
python3 -I -c '
import socket, sys
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
s.settimeout(10)
try: s.sendall(bytes(8 << 20))
except OSError: pass' "$(cat inside.port)"
wait $guest_pid
is "$?" 153 "what others send to it counts"
is "$(member r.json reason)" net_bytes "with the reason"

# ---- the rate: a bucket of a second's worth, full at first, and a packet of at most 64 KiB that may begin on the last
# drop. Never faster; how much slower is the affair of TCP.
faster() { [ "$1" -gt $((524288 * (took + 1000) / 1000 + 65536)) ]; }
received tcp
guest --net-rate 512KiB guest.py put "$tcp" 1500000
exits 0 "sending at a rate"
took=${out#put }
received tcp
is "$got" 1500000 "all of it arrives"
nok "1500000 bytes in $took ms are not faster than 512 KiB/s" faster 1500000
ok "packets had to wait" test "$(member r.json counters.net_delayed_packets)" -gt 0
guest --net-rate 512KiB guest.py get "$tcp" 1500000
exits 0 "receiving at a rate"
took=${out#get }
nok "1500000 bytes in $took ms are not faster than 512 KiB/s" faster 1500000
received udp
guest --net-rate 512KiB guest.py udp "$udp" 4000000
exits 0 "datagrams too fast"
took=${out#udp }
received udp
nok "the server saw $got bytes of 4000000 in $took ms" faster "$got"
guest guest.py put "$tcp" 1500000
exits 0 "without a rate"
is "$(member r.json counters.net_delayed_packets)" 0 "nothing waits"
received tcp
printf 'version: 1\nnet: [{connect: "127.0.0.1:%s"}]\nlimits: {net_bytes: 100KiB}\n' "$tcp" >p.yml
guest --policy "$T/p.yml" guest.py get "$tcp" 1000000
exits 153 "the limit of a policy file"
guest --policy "$T/p.yml" --net-bytes 4MiB guest.py get "$tcp" 1000000
exits 0 "a flag is the last word"

done_testing
