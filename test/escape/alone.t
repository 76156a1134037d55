#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Each layer alone. The build for tests leaves all the others out (lib/base/fault.h): a guest is root with every
# capability, sees the host's whole tree, and one layer stands between it and the host. What that layer stops and what it
# cannot is in alone.txt, and what is measured here must agree with it, in both directions. A layer for which an attempt
# is hopeless outside as well is not asked.
. "${0%/*}/../cli/lib.sh"
need root helper:attack
faulty=$HELPERS/pyisolate-faults
[ -x "$faulty" ] || faulty=$HELPERS/pyisolate-alone # in the virtual machine, see vm/run.sh
need "helper:${faulty##*/}"
[ "${PYI_TEST_IMAGES-}" != none ] || skip_all "no guest here starts from an image"
. "$TESTS/escape/twin.sh"
table=$TESTS/escape/alone.txt

cp "$HELPERS/attack" "$T/attack"
chmod 0755 "$T/attack" && chmod 0711 "$T"

# The layers that can be had here; in the virtual machine, which is slow, those that can be had only there.
layers=
if has native; then layers="process namespaces seccomp"; fi
# Before ABI 6 it knows nothing of signals and abstract sockets: the table is about what it became.
if has native && has landlock; then
	pyi run --mode compatibility --result r.json -c pass
	abi=$(member r.json layers.landlock.why | tr -dc 0-9)
	[ "${abi:-0}" -lt 6 ] || layers="$layers landlock"
fi
if has native && has bpf-cgroup; then layers="$layers bpf-cgroup"; fi
if has bpf-lsm; then layers="$layers bpf-lsm"; fi

# except LAYER: the others, in a list.
except() {
	list=
	for layer in process namespaces landlock seccomp bpf-cgroup bpf-lsm; do
		# The LSM programs come with those of the control group: they share what they know of a socket.
		case $1/$layer in
		"$layer/$layer" | bpf-lsm/bpf-cgroup) ;;
		*) list=$list${list:+,}$layer ;;
		esac
	done
	echo "$list"
}

# apart COMMAND...: where nothing that works does harm: mounts, names and keys are this command's own.
cat >apart <<'END'
#!/bin/sh
mount -t tmpfs -o size=400m,mode=1777 none /tmp && exec "$@"
END
chmod 0755 apart
apart() { run timeout 60 unshare --mount --uts --ipc --propagation private "$T/apart" "$@"; }

true=$(readlink -f /bin/true)

# What is attacked. Each attempt finds it as the first one did.
mkdir secret secret/d granted out socks
port=
victim=
renew() {
	rm -rf secret/* out/* granted/*
	mkdir -p secret/d
	echo "the SECRET text" >secret/file
	echo "the public text" >granted/file
	cp "$true" granted/program
	chmod 0777 secret secret/d granted out
	chmod 0666 secret/file granted/file
	[ -z "$victim" ] || ! kill -0 "$victim" 2>/dev/null || return
	sleep 900 &
	victim=$!
	sleep 0.2
	stack=$(awk -F- '/\[stack\]/ { print "0x" $1 }' /proc/$victim/maps)
	attempts >list
}
# shellcheck disable=SC2317 # called at the end
end_victim() { kill "$victim" "$server" 2>/dev/null; }
cat >server.py <<'END'
import socket, threading
def answer(s):
    while True:
        c = s.accept()[0]
        c.sendall(b"hello")
        c.close()
tcp = socket.create_server(("127.0.0.1", 0))
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.bind(("127.0.0.1", tcp.getsockname()[1]))
name = socket.socket(socket.AF_UNIX)
name.bind("socks/stream")
name.listen()
datagram = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
datagram.bind("socks/datagram")
abstract = socket.socket(socket.AF_UNIX)
abstract.bind("\0pyisolate-alone-%d" % tcp.getsockname()[1])
abstract.listen()
for s in (tcp, name, abstract):
    threading.Thread(target=answer, args=(s,)).start()
open("port", "w").write("%d\n" % tcp.getsockname()[1])
END
"$python" -I server.py &
server=$!
at_exit end_victim
wait_for 20 test -s port && port=$(cat port)
chmod 0777 socks socks/*

# attempts: "NAME OPTIONS | COMMAND", C first, then Python of the host with what it is aimed at. The options are what the
# guest is granted.
attempts() {
	"$T/attack" --list | awk -v a="$T/attack" '{ print $1, "|", a, $1 }'
	py() { echo "$1 $2 | $python -I $attack $3"; }
	f=$T/secret/file g=$T/granted/file r="--allow-read $T/granted" w="--allow-write $T/out"
	py read-secret "" "read $f"
	py write-secret "" "write $f"
	py create-secret "" "create $T/secret/d/new"
	py truncate-secret "" "truncate $f"
	py unlink-secret "" "unlink $f"
	py rename-secret "" "rename $f"
	py chmod-secret "" "chmod $f"
	py chmod-granted "$r" "chmod $g"
	for a in write append truncate open-truncate unlink rename reopen-writable mmap-write; do
		py "$a-read-only" "$r" "$a $g"
	done
	py hard-link-out "$r $w" "hard-link $g $T/out"
	py run-program "$r" "run-program $T/granted/program"
	py run-copy "$w --allow-read $true" "copied-binary $T/out $true"
	py run-copy-by-loader "$w --allow-read $true" "ld-linux $T/out $true"
	py map-written-code "$w" "map-written-code $T/out"
	py tcp-connect "" "tcp $port"
	py tcp-fastopen "" "tcp-fastopen $port"
	py tcp-mapped "" "tcp-mapped $port"
	py udp-send "" "udp $port"
	py udp-connect "" "udp-connected $port"
	py listen "" "listen"
	py listen-unbound "" "listen-unbound"
	py unix-connect "--allow-write $T/socks" "unix-connect $T/socks/stream"
	py abstract-connect "" "unix-connect @pyisolate-alone-$port"
	py abstract-bind "" "unix-bind @pyisolate-alone-own"
	py unix-datagram "--allow-write $T/socks" "unix-datagram $T/socks/datagram"
	py trace-other "" "ptrace-parent $victim"
	py read-other "" "process-vm-readv $victim $stack"
	py take-from-other "" "pidfd-getfd $victim"
	py signal-other "" "kill $victim"
	py queue-signal-other "" "queue-signal $victim"
	py limits-of-other "" "prlimit $victim"
	py setns-other "" "setns $victim"
}

# of NAME: sets $options and $command. The victim may be a new one.
of() {
	renew
	command=$(sed -n "s/^$1 //p" list)
	options=${command%%|*} command=${command#*|}
}
# guest LAYER OPTION... -- COMMAND: with this layer alone.
guest() {
	alone=$1
	shift
	apart env PYISOLATE_LEAVE_OUT="$(except "$alone")" "$faulty" run --mode compatibility --timeout "${time:-40s}" \
		--allow-read "$T/attack" --allow-run "$T/attack" --allow-run "$python" --allow-read "$attack" "$@"
}

# What becomes of an attempt, by the code and output of the last run.
verdict() {
	case $code/$out in
	0/succeeded*) echo lets ;;
	1/refused* | 159/*) echo stops ;;
	*) echo "$code:$(printf '%s %s' "$out" "$err" | tail -n 1)" ;;
	esac
}

renew
# The LSM programs let through nothing of the C program that would stay behind, so one guest makes all its attempts.
: >together
if has bpf-lsm; then
	cat >every <<'END'
while read -r name; do
	out=$("$1" "$name" 2>&1)
	echo "$name $? $out"
done <"$2"
END
	"$T/attack" --list | cut -f1 >names
	chmod 0755 every && chmod 0644 names
	time=300s guest bpf-lsm --allow-read "$T/every" --allow-read "$T/names" -- /bin/sh "$T/every" "$T/attack" "$T/names"
	exits 0 "all attempts in one guest"
	cp "$OUT" together
fi
cut -d' ' -f1 list >order
while read -r name <&3; do
	of "$name"
	# shellcheck disable=SC2086 # a list
	apart $command
	if [ "$code" != 0 ]; then
		skip "this host itself: $(printf '%s %s' "$out" "$err" | tail -n 1), exit $code" "$name: works outside"
		continue
	fi
	pass "$name: works outside"
	for layer in $layers; do
		line=$(test "$layer" != bpf-lsm || grep "^$name " together)
		if [ -n "$line" ]; then
			line=${line#* } err=
			code=${line%% *} out=${line#* }
		else
			of "$name"
			# shellcheck disable=SC2086 # lists
			guest "$layer" $options -- $command
		fi
		verdict=$(verdict)
		want=$(awk -v name="$name" -v layer="$layer" '
			$1 == "attempt" { for (i = 2; i <= NF; i++) if ($i == layer) column = i }
			$1 == name { print $column }' "$table")
		case $want in
		stops | lets) is "$verdict" "$want" "$layer alone: $name" ;;
		"?") like "$verdict" '^(stops|lets)$' "$layer alone: $name, which was not measured" ;;
		*) fail "$layer alone: $name is not in the table; it is: $verdict" ;;
		esac
	done
done 3<order
awk '/^attempt/ { on = 1; next } on && NF && !/^#/ { print $1 }' "$table" >known
while read -r name; do
	grep -q "^$name " list || fail "the table speaks of '$name', which nobody attempts"
done <known

done_testing
