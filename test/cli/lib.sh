# SPDX-License-Identifier: MIT
# shellcheck shell=sh
#
# Helpers for the tests of the built binary: test/cli/*.t and test/escape/*.t. Plain POSIX sh (dash, busybox ash), TAP
# on stdout, run by `prove` on a host and by test/tap.sh in the virtual machine. A test begins
#
#	. "${0%/*}/lib.sh"		(test/escape: . "${0%/*}/../cli/lib.sh")
#	need root cgroup		prerequisites: without one the file is skipped, and says why
#
# and ends with done_testing. By hand: PYISOLATE=$PWD/build/pyisolate sh test/cli/NAME.t
#
# What is there:
#	$PYISOLATE	the binary under test, absolute, readable by everyone
#	$TESTS		the directory test/ of the checkout, absolute
#	$HELPERS	the directory of the static helper programs (build/helper)
#	$T		a private directory of this file, mode 0700, the working directory; removed at exit
#	$XDG_CACHE_HOME	where the ordinary user's images are kept; root's are in /var/cache/pyisolate (see private.sh)
#	$U		the same for the ordinary user (is $T when the test itself runs as an ordinary user)
#
#	pyi ARG...	`run "$PYISOLATE" ARG...`
#	run CMD...	runs it, stdin empty unless redirected, and sets $code, $out, $err (the first 64 KiB, no NULs); the
#			whole of them are in the files $OUT and $ERR. The command may be a function, as as_user is.
#	as_user CMD...	runs it as a real unprivileged user with no groups, in $U, with a fresh environment:
#			`run as_user "$PYISOLATE" run -c pass`; as_user env A=b CMD... adds to it
#
#	is GOT WANT NAME		isnt GOT WANT NAME		like GOT ERE NAME		unlike GOT ERE NAME
#	contains GOT TEXT NAME		lacks GOT TEXT NAME		(plain text, any number of lines)
#	exits CODE NAME			about the last run: the code, and on failure what it printed
#	ok NAME CMD...			passes when the command succeeds	nok NAME CMD...	when it fails
#	pass NAME, fail NAME		as said
#	skip WHY [NAME]			one test that cannot run here, counted	skip_all WHY	the rest of the file
#	diag TEXT			a comment for the reader
#	done_testing			prints the plan; the file fails without it
#
#	has FEATURE	is it here? If not, $why says why.	need FEATURE...	skip_all unless all are
#			root, user (not root), userns (an ordinary user may make user namespaces), landlock, cgroup (root,
#			memory and pids controllers), cgroup-v2, cgroup-hybrid, bpf-cgroup, bpf-lsm, idmap, vm, native,
#			helper:NAME, or any command's name (python3, script, ...)
#	member FILE PATH	a member of a JSON file: `member "$T/r.json" layers.landlock.state`; arrays by index; a missing one
#			is the empty string, an object or array lists its keys
#	wait_for SECONDS CMD...	until the command succeeds; fails when the time is over
#	at_exit CMD...	one simple command to run at the end, before the directories go

set -u

TESTS=$(cd "${0%/*}/.." && pwd)
# What runs keep on the host is kept in a place of the tests' own.
[ -n "${PYI_PRIVATE-}" ] || exec sh "$TESTS/private.sh" sh "$0" "$@"
PYISOLATE=${PYISOLATE:-$TESTS/../build/pyisolate}
case $PYISOLATE in /*) ;; *) PYISOLATE=$PWD/$PYISOLATE ;; esac
HELPERS=${PYI_HELPERS:-${PYISOLATE%/*}/helper}
test_user=pyitest
test_n=0
test_failed=0
test_done=
test_at_exit=
exec </dev/null
umask 022

test_top=$(mktemp -d "/var/tmp/pyitest.XXXXXX") || exit 1
chmod 0711 "$test_top"
mkdir -m 0700 "$test_top/t" "$test_top/lib" "$test_top/u"
T=$test_top/t
OUT=$test_top/lib/out
ERR=$test_top/lib/err

test_exit() {
	test_code=$?
	trap - EXIT
	eval "$test_at_exit"
	cd /
	# Not at once where an image is still being made.
	for test_try in 1 2 3 4 5 6 7 8 9 10; do
		rm -rf "$test_top" 2>/dev/null && break
		sleep 0.2
	done
	[ -n "$test_done" ] || echo "# ended before done_testing (exit $test_code)"
	[ "$test_code" = 0 ] && [ "$test_failed" != 0 ] && test_code=1
	exit "$test_code"
}
trap test_exit EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

at_exit() { test_at_exit="$*; $test_at_exit"; }

diag() { printf '%s\n' "$*" | cut -c 1-400 | head -n 60 | sed 's/^/# /'; }

test_result() {	# RESULT NAME
	test_n=$((test_n + 1))
	[ "$1" = ok ] || test_failed=$((test_failed + 1))
	printf '%s %d - %s\n' "$1" "$test_n" "$(printf %s "$2" | tr '\n#' '  ')"
}

pass() { test_result ok "$1"; }
fail() { test_result "not ok" "$1"; }

skip() {
	test_n=$((test_n + 1))
	printf 'ok %d - %s # skip %s\n' "$test_n" "${2:-}" "$1"
}

skip_all() {
	if [ "$test_n" = 0 ]; then
		echo "1..0 # skip $1"
		test_done=1
	else
		skip "$1"
		done_testing
	fi
	exit 0
}

done_testing() {
	echo "1..$test_n"
	test_done=1
	[ "$test_failed" = 0 ]
}

is() {
	if [ "$1" = "$2" ]; then pass "$3"; else
		fail "$3"
		diag "     got: $1"
		diag "expected: $2"
	fi
}

isnt() {
	if [ "$1" != "$2" ]; then pass "$3"; else
		fail "$3"
		diag "got what it should not be: $1"
	fi
}

like() {
	if printf '%s\n' "$1" | grep -Eq -e "$2"; then pass "$3"; else
		fail "$3"
		diag "          got: $1"
		diag "does not match: $2"
	fi
}

unlike() {
	if printf '%s\n' "$1" | grep -Eq -e "$2"; then
		fail "$3"
		diag "    got: $1"
		diag "matches: $2"
	else pass "$3"; fi
}

contains() {
	case $1 in
	*"$2"*) pass "$3" ;;
	*)
		fail "$3"
		diag "             got: $1"
		diag "does not contain: $2"
		;;
	esac
}

lacks() {
	case $1 in
	*"$2"*)
		fail "$3"
		diag "     got: $1"
		diag "contains: $2"
		;;
	*) pass "$3" ;;
	esac
}

exits() {
	if [ "$code" = "$1" ]; then pass "$2"; else
		fail "$2"
		diag "exit code $code instead of $1"
		diag "stdout: $(printf '%s\n' "$out" | head -n 40)"
		diag "stderr: $(printf '%s\n' "$err" | head -n 40)"
	fi
}

ok() {
	test_name=$1
	shift
	if "$@" >"$test_top/lib/ok" 2>&1; then pass "$test_name"; else
		test_code=$?
		fail "$test_name"
		diag "exit code $test_code: $*"
		diag "$(head -n 40 "$test_top/lib/ok")"
	fi
}

nok() {
	test_name=$1
	shift
	if "$@" >"$test_top/lib/ok" 2>&1; then
		fail "$test_name"
		diag "should have failed: $*"
		diag "$(head -n 40 "$test_top/lib/ok")"
	else pass "$test_name"; fi
}

run() {
	code=0
	("$@") >"$OUT" 2>"$ERR" || code=$?
	out=$(head -c 65536 "$OUT" | tr -d '\000')
	err=$(head -c 65536 "$ERR" | tr -d '\000')
}

pyi() { run "$PYISOLATE" "$@"; }

# The user exists from the first use on; two tests may get here at the same time.
test_have_user() {
	id "$test_user" >/dev/null 2>&1 && return 0
	useradd --system --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin "$test_user" >/dev/null 2>&1
	id "$test_user" >/dev/null 2>&1
}

if [ "$(id -u)" = 0 ]; then
	U=$test_top/u
	test_have_user && chown "$test_user" "$U"
else
	U=$T
fi

case ${PYI_TEST_IMAGES-} in
none) XDG_CACHE_HOME=/dev/null ;;
"")
	XDG_CACHE_HOME=$test_top/images
	mkdir -m 0700 "$XDG_CACHE_HOME"
	[ "$U" = "$T" ] || ! test_have_user || chown "$test_user" "$XDG_CACHE_HOME"
	;;
*) XDG_CACHE_HOME=$PYI_TEST_IMAGES/user ;;
esac
export XDG_CACHE_HOME

as_user() {
	(
		cd "$U" || exit 125
		if [ "$(id -u)" != 0 ]; then
			set -- env -i PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin HOME="$U" USER="$(id -un)" \
				XDG_CACHE_HOME="$XDG_CACHE_HOME" LANG=C.UTF-8 "$@"
		else
			set -- env -i PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin HOME="$U" USER="$test_user" \
				XDG_CACHE_HOME="$XDG_CACHE_HOME" LANG=C.UTF-8 "$@"
			if [ -x "$HELPERS/asuser" ]; then
				set -- "$HELPERS/asuser" "$(id -u $test_user)" "$(id -g $test_user)" "$@"
			else
				set -- setpriv --reuid $test_user --regid "$(id -g $test_user)" --clear-groups -- "$@"
			fi
		fi
		exec "$@"
	)
}

# A checkout below a directory of root's alone: give the user a copy.
if [ "$(id -u)" = 0 ] && [ -x "$PYISOLATE" ] && id "$test_user" >/dev/null 2>&1 &&
	! as_user test -x "$PYISOLATE"; then
	mkdir "$test_top/bin"
	cp "$PYISOLATE" "$test_top/bin/pyisolate"
	[ ! -d "$HELPERS" ] || cp -R "$HELPERS" "$test_top/bin/helper"
	PYISOLATE=$test_top/bin/pyisolate
	HELPERS=$test_top/bin/helper
fi
export PYISOLATE HELPERS
cd "$T" || exit 1

test_hostcan() { "$HELPERS/hostcan" "$@" >/dev/null 2>&1; }

has() {
	why=
	case $1 in
	root) [ "$(id -u)" = 0 ] || why="needs root" ;;
	user) [ "$(id -u)" != 0 ] || why="needs an ordinary user" ;;
	userns)
		as_user unshare -U true 2>/dev/null ||
			why="an ordinary user may not make user namespaces here"
		;;
	landlock) test_hostcan landlock || why="this kernel has no Landlock" ;;
	cgroup)
		if ! has root; then :; elif has cgroup-v2 || has cgroup-hybrid; then why=; else
			why="no memory controller that can be written here"
		fi
		;;
	cgroup-v2)
		grep -qw memory /sys/fs/cgroup/cgroup.controllers 2>/dev/null ||
			why="the cgroup controllers of this host are not on v2"
		;;
	cgroup-hybrid)
		[ -d /sys/fs/cgroup/memory ] && [ -e /sys/fs/cgroup/unified/cgroup.procs ] ||
			why="this host has no v1 and v2 cgroups side by side"
		;;
	bpf-cgroup) has root && { test_hostcan bpf-cgroup || why="this kernel refuses cgroup BPF programs"; } ;;
	bpf-lsm)
		has root && { test_hostcan bpf-lsm ||
			why="this kernel refuses LSM programs; the virtual machine runs this"; }
		;;
	idmap) has root && { test_hostcan idmap "$T" || why="no id-mapped mounts of this file system"; } ;;
	vm) [ -n "${PYI_VM:-}" ] || why="only in the virtual machine" ;;
	native) [ -z "${PYI_VM:-}" ] || why="not in the virtual machine" ;;
	helper:*) [ -x "$HELPERS/${1#helper:}" ] || why="the helper ${1#helper:} was not built" ;;
	*) command -v "$1" >/dev/null 2>&1 || why="there is no $1 here" ;;
	esac
	[ -z "$why" ]
}

need() {
	for test_need in "$@"; do
		has "$test_need" || skip_all "$why"
	done
}

# Every leaf of a JSON file as "path<TAB>value", one a line; strings keep their escapes but \" \\ and \/.
json_flat() {
	awk '
	function ws() { while (i <= n && index(" \t\r\n", substr(s, i, 1))) i++ }
	function str(    r, c) {
		r = ""; i++
		while (i <= n && (c = substr(s, i, 1)) != "\"") {
			if (c == "\\") {
				i++; c = substr(s, i, 1)
				if (c != "\"" && c != "\\" && c != "/") c = "\\" c
			}
			r = r c; i++
		}
		i++
		return r
	}
	function value(path,    c, k, first, p) {
		ws(); c = substr(s, i, 1); p = path == "" ? "" : path "."
		if (c == "{" || c == "[") {
			i++; k = 0; ws()
			while (i <= n && substr(s, i, 1) != "}" && substr(s, i, 1) != "]") {
				if (c == "{") { first = str(); ws(); i++ } else first = k++
				print path "/\t" first
				value(p first); ws()
				if (substr(s, i, 1) == ",") i++
				ws()
			}
			i++
		} else if (c == "\"") print path "\t" str()
		else {
			match(substr(s, i), /^[-+.0-9a-zA-Z]*/)
			print path "\t" substr(s, i, RLENGTH); i += RLENGTH ? RLENGTH : 1
		}
	}
	{ s = s $0 "\n" }
	END { n = length(s); i = 1; value("") }' "$1"
}

member() {
	[ -s "$1" ] || return 0
	json_flat "$1" | awk -F'\t' -v p="$2" '
		$1 == p { sub(/^[^\t]*\t/, ""); print; found = 1 }
		$1 == p "/" { keys = keys (keys == "" ? "" : " ") $2 }
		END { if (!found && keys != "") print keys }'
}

wait_for() {
	test_until=$(($(date +%s) + $1))
	shift
	until "$@" >/dev/null 2>&1; do
		[ "$(date +%s)" -lt "$test_until" ] || return 1
		sleep 0.05
	done
}
