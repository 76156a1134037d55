#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The built-in templates at work: what each one allows and what it refuses, in a real sandbox. The places they name are
# made in a mount and a network namespace of this test, so that the host's /srv and network stay as they are.
. "${0%/*}/lib.sh"
need root unshare ip

# Each argument is OP=TARGET; prints a line for each, "OP TARGET ok" or "OP TARGET ExceptionName".
cat >try.py <<'END'
import os, socket, subprocess, sys, threading

def attempt(op, target):
    if op == "read":
        os.listdir(target) if os.path.isdir(target) else open(target, "rb").read(16)
    elif op == "write":
        with open(target, "w") as f:
            f.write("x")
    elif op == "connect" or op == "udp":
        host, port = target.rsplit(":", 1)
        kind = socket.SOCK_DGRAM if op == "udp" else socket.SOCK_STREAM
        with socket.socket(socket.AF_INET, kind) as s:
            s.settimeout(5)
            s.connect((host, int(port)))
            s.send(b"GET / HTTP/1.0\r\n\r\n")
    elif op == "run":
        subprocess.run([target], check=True)
    elif op == "sqlite":
        import sqlite3
        with sqlite3.connect(target) as db:
            db.execute("create table if not exists t (x)")
            db.execute("insert into t values (1)")
    elif op == "threads":
        done = [threading.Thread(target=pow, args=(2, 3)) for _ in range(int(target))]
        for t in done: t.start()
        for t in done: t.join()
    elif op == "sum":
        assert sum(range(int(target))) > 0
    elif op == "env":
        os.environ[target]
    elif op == "zone":
        import zoneinfo
        zoneinfo.ZoneInfo(target)
    elif op == "certs":
        import ssl
        assert len(ssl.create_default_context().get_ca_certs()) > int(target)

for arg in sys.argv[1:]:
    op, target = arg.split("=", 1)
    try:
        attempt(op, target)
        print(op, target, "ok")
    except BaseException as e:
        print(op, target, type(e).__name__)
END

# The world the templates speak of: /srv and /var/lib/pyisolate, a web server on an address that is nobody's.
cat >world.sh <<'END'
mount -t tmpfs -o mode=0755 tmpfs /srv
mkdir -p /srv/data /srv/models /srv/results /srv/other
for f in /srv/data/in /srv/models/m /srv/other/secret; do echo content >$f; done
mkdir -p /var/lib
mount -t tmpfs -o mode=0755 tmpfs /var/lib
mkdir -p /var/lib/pyisolate/db /var/lib/other
ip link set lo up
echo 0 >/proc/sys/net/ipv4/ip_unprivileged_port_start	# the servers are guests: not root
ip addr add 192.0.2.1/32 dev lo
ip addr add 10.9.9.9/32 dev lo
ip addr add 169.254.169.254/32 dev lo
for address in 192.0.2.1:80 192.0.2.1:22 10.9.9.9:80 169.254.169.254:80 127.0.0.1:80; do
	"$PYISOLATE" run -q --allow-net "bind:$address" -c '
import socket, sys
host, port = sys.argv[1].rsplit(":", 1)
s = socket.create_server((host, int(port)))
print("ready", flush=True)
while True:
    s.accept()[0].close()
' "$address" >"ready-$address" 2>"server-$address" &
done
i=0
until [ "$(cat ready-* | wc -l)" = 5 ]; do
	sleep 0.1
	i=$((i + 1))
	[ $i -lt 200 ] || { cat server-* >&2; exit 1; }
done
END

# in_world CODE: sh CODE there; what it leaves behind dies with its process namespace.
in_world() {
	unshare --mount --net --pid --fork --kill-child --mount-proc sh -euc '. ./world.sh; . ./cases.sh'
}

expect() {	# TEMPLATE "OP=TARGET WANT"...: on stdout of the case file, checked below
	template=$1
	shift
	for pair in "$@"; do
		printf '%s\t%s\n' "$template" "$pair" >>expected
	done
}
: >expected
expect defaults "sum=1000 ok" "write=/tmp/x ok" "threads=8 ok" "read=/etc/hostname FileNotFoundError" \
	"read=/srv/data/in FileNotFoundError" "connect=192.0.2.1:80 PermissionError" "run=/bin/true PermissionError" \
	"env=SECRET_TOKEN KeyError"
expect compute-only "sum=1000 ok" "threads=8 ok" "threads=64 RuntimeError" "zone=Europe/Berlin ZoneInfoNotFoundError" \
	"read=/srv/data/in FileNotFoundError" "connect=192.0.2.1:80 PermissionError" "run=/bin/true PermissionError"
expect stdlib.readonly "zone=Europe/Berlin ok" "read=/etc/services ok" "write=/etc/services PermissionError" \
	"read=/usr/bin FileNotFoundError" "read=/srv/data/in FileNotFoundError" "connect=192.0.2.1:80 PermissionError"
expect readonly-fs "read=/usr/bin ok" "read=/bin/sh ok" "write=/usr/x PermissionError" "run=/bin/true PermissionError" \
	"read=/srv/data/in FileNotFoundError" "read=/etc/shadow FileNotFoundError" "connect=192.0.2.1:80 PermissionError"
expect ml "read=/srv/data/in ok" "write=/srv/models/new ok" "threads=64 ok" "read=/usr/lib ok" \
	"write=/srv/data/in PermissionError" "read=/srv/other/secret FileNotFoundError" \
	"connect=192.0.2.1:80 PermissionError"
expect ml-inference "read=/srv/models/m ok" "write=/srv/results/r ok" "write=/srv/models/m PermissionError" \
	"read=/srv/other/secret FileNotFoundError" "connect=192.0.2.1:80 PermissionError"
expect web_scraper "connect=192.0.2.1:80 ok" "udp=192.0.2.1:53 ok" "connect=192.0.2.1:22 PermissionError" \
	"connect=10.9.9.9:80 PermissionError" "connect=169.254.169.254:80 PermissionError" \
	"connect=127.0.0.1:80 PermissionError" "udp=192.0.2.1:80 PermissionError" "read=/srv/data/in FileNotFoundError"
expect write-db "sqlite=/var/lib/pyisolate/db/app.db ok" "read=/var/lib/pyisolate/db/app.db ok" \
	"write=/var/lib/other/x FileNotFoundError" "write=/var/lib/pyisolate/x PermissionError" \
	"read=/srv/data/in FileNotFoundError" "connect=192.0.2.1:80 PermissionError"

templates=$(cut -f 1 expected | uniq)
for template in $templates; do
	printf 'SECRET_TOKEN=x "$PYISOLATE" run -q --policy %s try.py' "$template"
	awk -F'\t' -v t="$template" '$1 == t { sub(/ [^ ]*$/, "", $2); printf " %s", $2 }' expected
	printf ' >got.%s 2>err.%s </dev/null\n' "$template" "$template"
done >cases.sh
run in_world
exits 0 "the templates run"
while IFS='	' read -r template pair; do
	want=${pair##* }
	case=${pair% *}
	got=$(awk -v k="${case%%=*} ${case#*=}" 'substr($0, 1, length(k) + 1) == k " " { print substr($0, length(k) + 2) }' \
		"got.$template")
	case $template in
	web_scraper) has bpf-cgroup || { skip "$why" "$template: $case"; continue; } ;;
	esac
	is "$got" "$want" "$template: $case is $want"
	[ "$got" = "$want" ] || diag "$(head -n 5 "err.$template")"
done <expected
done_testing
