#!/bin/sh
# SPDX-License-Identifier: MIT
#
# check.sh BIN [vm]: every test of the built binary, or only those in the virtual machine. Installs what the tests need
# on this host, runs each family, prints how long each took and what failed, compares what the host holds before and
# after, and ends with one line "N passed, N failed, N skipped". Exit code 1 when a test failed.
#
# As root everything runs: unit tests and the command-line tests as an ordinary user, those that need it as root. As
# an ordinary user what needs root is skipped. Guests start from images in one pass, and normally in another.
set -u

here=$(cd "$(dirname "$0")" && pwd)
top=$(dirname "$here")
. "$top/vendor/lib.sh"
bin=$1
only=${2-}
build=$(cd "$(dirname "$bin")" && pwd) || exit 1
case $bin in /*) ;; *) bin=$build/${bin##*/} ;; esac
[ -x "$bin" ] || { echo "check: there is no $bin: run make first" >&2; exit 1; }
user=pyitest
is_root=
[ "$(id -u)" != 0 ] || is_root=1

if [ -n "$is_root" ]; then
	install_on_host perl util-linux cpio strace || exit 1
	id $user >/dev/null 2>&1 ||
		useradd --system --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin $user || exit 1
fi

# A copy that an ordinary user can read, wherever the checkout is.
work=$(mktemp -d /var/tmp/pyicheck.XXXXXX) || exit 1
vm_pid=
trap '[ -z "$vm_pid" ] || kill "$vm_pid"; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM HUP
chmod 0755 "$work"
mkdir "$work/bin" "$work/src" "$work/tap" "$work/tap-user"
cp -l "$bin" "$work/bin/pyisolate" 2>/dev/null || cp "$bin" "$work/bin/pyisolate"
for d in helper unit; do
	[ ! -d "$build/$d" ] || cp -Rl "$build/$d" "$work/bin/$d" 2>/dev/null || cp -R "$build/$d" "$work/bin/"
done
for f in test policy man README.md; do
	[ ! -e "$top/$f" ] || cp -R "$top/$f" "$work/src/"
done
chmod -R a+rX "$work/bin" "$work/src"
[ -z "$is_root" ] || chown $user "$work/tap-user"
# The same CPython outside, for comparison.
export PYI_CPYTHON="${PYI_CPYTHON:-$("$top/vendor/cpython.sh" "${RUNTIME:-3.13t}" 2>/dev/null)}"
# Prometheus's own judge of metrics and its servers, where they can be had.
if [ -n "$is_root" ]; then
	PYI_PROMETHEUS=$("$top/vendor/prometheus.sh" 2>/dev/null)
	export PYI_PROMETHEUS
fi
export PYISOLATE="$work/bin/pyisolate" PYI_HELPERS="$work/bin/helper" PYI_TAP_ROOT="$work"

# as_user VARIABLE=VALUE... COMMAND...: as the ordinary user, in a fresh environment.
as_user() {
	if [ -n "$is_root" ]; then
		set -- setpriv --reuid $user --regid "$(id -g $user)" --clear-groups -- env -i \
			PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin HOME="$work/tap-user" USER=$user LANG=C.UTF-8 "$@"
	else
		set -- env "$@"
	fi
	"$@"
}

# Guests start from images that are made here, in a place of their own (see private.sh); or from none at all.
mkdir -m 0711 "$work/images"
mkdir -m 0700 "$work/images/root" "$work/images/user"
[ -z "$is_root" ] || chown $user "$work/images/user"
export PYI_TEST_IMAGES="$work/images"
make_images() {
	[ -z "$is_root" ] || sh "$here/private.sh" "$PYISOLATE" image build -q
	as_user XDG_CACHE_HOME="$PYI_TEST_IMAGES/user" "$PYISOLATE" image build -q
}

# family NAME root|user FILE...: one prove run.
family() {
	name=$1
	as=$2
	shift 2
	[ -e "$1" ] || return 0
	echo "==> $name"
	start=$(date +%s)
	if [ "$as" = user ] && [ -n "$is_root" ]; then
		dir=$work/tap-user/$name
		mkdir -p "$dir" && chown $user "$dir"
		(cd / && as_user PYI_AS_USER=1 PYI_CPYTHON="$PYI_CPYTHON" PYISOLATE="$PYISOLATE" PYI_HELPERS="$PYI_HELPERS" \
			PYI_TAP_ROOT="$PYI_TAP_ROOT" PYI_TEST_IMAGES="$PYI_TEST_IMAGES" PYI_TAP_DIR="$dir" prove -Q -j2 --exec "sh $work/src/test/tap.sh" "$@" >"$work/prove.log" 2>&1)
	else
		dir=$work/tap/$name
		mkdir -p "$dir"
		(cd / && PYI_TAP_DIR=$dir prove -Q -j2 --exec "sh $work/src/test/tap.sh" "$@" >"$work/prove.log" 2>&1)
	fi
	code=$?
	close "$name" "$dir" "$code"
}

# close NAME DIR CODE: the summary of a family whose TAP is in DIR.
close() {
	sh "$here/tap.sh" --count "$2" >"$work/n"
	read -r p f s <"$work/n"
	if [ "$3" != 0 ] && [ "$f" = 0 ]; then
		# The harness itself failed: that is a failure too.
		printf 'not ok 1 - %s: exit code %s\n' "$1" "$3" >"$2/harness.tap"
		[ ! -s "$work/prove.log" ] || sed 's/^/# /' "$work/prove.log" >>"$2/harness.tap"
		f=1
	fi
	sh "$here/tap.sh" --failures "$2"
	echo "==> $1: $p passed, $f failed, $s skipped in $(($(date +%s) - start)) s"
}

# The virtual machine works beside all the rest, which waits a lot. `vm` alone takes its time for every family.
if [ -z "${PYI_NO_VM-}" ]; then
	vm_start=$(date +%s)
	mkdir "$work/tap/vm"
	PYI_VM_FULL=$only nice -n 5 sh "$here/vm/run.sh" "$work" "$work/tap/vm" >"$work/vm.log" 2>&1 &
	vm_pid=$!
fi

if [ -z "$only" ]; then
	[ -z "$is_root" ] || sh "$here/leaks.sh" snapshot "$work/before"
	units=$(find "$work/bin/unit" -maxdepth 1 -type f -name 'test_*' -perm -100 2>/dev/null | sort)
	# shellcheck disable=SC2086 # a list of names without spaces
	[ -z "$units" ] || family unit user $units
	roots=$(find "$work/bin/unit" -maxdepth 1 -type f -name 'root_*' -perm -100 2>/dev/null | sort)
	# shellcheck disable=SC2086
	[ -z "$roots" ] || [ -z "$is_root" ] || family unit-root root $roots
	make_images
	[ -z "$is_root" ] || family cli root "$work"/src/test/cli/*.t
	family cli-user user "$work"/src/test/cli/*.t
	for variant in 3.13 3.13t-release; do
		if [ -z "$is_root" ] || [ ! -x "$build/$variant/pyisolate" ]; then continue; fi
		mkdir "$work/$variant"
		cp "$build/$variant/pyisolate" "$work/$variant/" && cp -R "$build/$variant/helper" "$work/$variant/"
		chmod -R a+rX "$work/$variant"
		main=$PYISOLATE
		main_cpython=$PYI_CPYTHON
		PYI_CPYTHON=$("$top/vendor/cpython.sh" "${variant%-release}" 2>/dev/null)
		PYISOLATE=$work/$variant/pyisolate
		PYI_HELPERS=$work/$variant/helper
		make_images
		family "cli-$variant" root "$work"/src/test/cli/*.t
		PYISOLATE=$main
		PYI_HELPERS=$work/bin/helper
		PYI_CPYTHON=$main_cpython
	done
	[ -z "$is_root" ] || family escape root "$work"/src/test/escape/*.t
	family escape-user user "$work"/src/test/escape/*.t
	if [ -e "$here/conformance/run.sh" ]; then
		PYI_TEST_TIMEOUT=1500 family conformance root "$work/src/test/conformance/run.sh"
	fi
	# The same without images: whatever a guest can do when it started from one it can do when it started normally.
	PYI_TEST_IMAGES=none
	rm -f "$work"/src/test/cli/6*-image-*.t # they have images of their own
	[ -z "$is_root" ] || family cli-normal root "$work"/src/test/cli/*.t
	family cli-user-normal user "$work"/src/test/cli/*.t
	[ -z "$is_root" ] || family escape-normal root "$work"/src/test/escape/*.t
	family escape-user-normal user "$work"/src/test/escape/*.t
	if [ -e "$here/conformance/run.sh" ]; then
		PYI_TEST_TIMEOUT=1500 family conformance-normal root "$work/src/test/conformance/run.sh"
	fi
	if [ -n "$is_root" ]; then
		echo "==> leaks"
		start=$(date +%s)
		mkdir "$work/tap/leaks"
		{
			echo "# FILE leaks"
			sh "$here/leaks.sh" compare "$work/before"
		} >"$work/tap/leaks/leaks.tap"
		close leaks "$work/tap/leaks" 0
	fi
fi
if [ -n "$vm_pid" ]; then
	echo "==> vm (since $(($(date +%s) - vm_start)) s)"
	start=$vm_start
	: >"$work/prove.log"
	wait "$vm_pid"
	code=$?
	vm_pid=
	cat "$work/vm.log"
	close vm "$work/tap/vm" $code
fi

rm -rf "$build/tap"
mkdir -p "$build/tap" && cp -R "$work/tap/." "$work/tap-user/." "$build/tap/" 2>/dev/null
sh "$here/tap.sh" --skips "$work/tap" "$work/tap-user"
sh "$here/tap.sh" --count "$work/tap" "$work/tap-user" >"$work/n"
read -r passed failed skipped <"$work/n"
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
