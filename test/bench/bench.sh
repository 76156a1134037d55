#!/bin/sh
# SPDX-License-Identifier: MIT
#
# bench.sh BIN: each figure beside its reference, measured in the same run, in turn; tables on stdout, JSON in
# build/bench.json. Wall times swing on a shared machine: read the minima and the ratios. How often, how many and how
# long: PYI_BENCH_ROUNDS (200), PYI_BENCH_COMPUTE_ROUNDS (7), PYI_BENCH_STAGE_ROUNDS (100), PYI_BENCH_IDLE (200
# sandboxes), PYI_BENCH_SECONDS (30), PYI_BENCH_PLANE_ROUNDS (7). If the other runtime has been built (make RUNTIME=3.13), it stands beside.
set -eu

top=$(cd "$(dirname "$0")/../.." && pwd)
. "$top/vendor/lib.sh"
bin=$1
case $bin in /*) ;; *) bin=$PWD/$bin ;; esac
helpers=${bin%/*}/helper
[ -x "$helpers/bench" ] || die "there is no $helpers/bench: run make first"
if [ "$(id -u)" = 0 ]; then
	install_on_host bubblewrap
fi

work=$(mktemp -d "${TMPDIR:-/tmp}/pyi-bench.XXXXXX")
trap 'rm -rf "$work"' EXIT

# installed DIR NAME: an ordinary installation of the static interpreter, that finds its library by itself.
installed() {
	mkdir -p "$work/$2/bin" "$work/$2/lib/python3.13/lib-dynload"
	ln -s python3.13 "$work/$2/lib/python3.13t"
	ln -s "$1"/lib/* "$work/$2/lib/python3.13/"
	cp "$1/python" "$work/$2/bin/python3"
	echo "$work/$2/bin/python3"
}
cpython=$("$top/vendor/cpython.sh" 3.13t)
outside=$(installed "$cpython" free)
set -- "$bin" "$helpers" "$outside" "$top/build/bench.json"
if [ -x "$top/build/3.13/pyisolate" ] && [ "$bin" != "$top/build/3.13/pyisolate" ]; then
	set -- "$@" "$top/build/3.13/pyisolate" "$(installed "$("$top/vendor/cpython.sh" 3.13)" gil)"
fi
mkdir -p "$top/build"
# Images in a place of their own, on a disk as theirs is; one is there before the first figure.
mkdir -m 0711 "$work/images"
mkdir -m 0700 "$work/images/root"
# What only the virtual machine's kernel does is measured there first, by itself. PYI_NO_VM=1 leaves it out.
if [ "$(id -u)" = 0 ] && [ -z "${PYI_NO_VM-}" ]; then
	mkdir -p "$work/vm/bin/unit" "$work/vm/src" "$work/vm/vm" "$work/vm/tap"
	cp "$bin" "$work/vm/bin/pyisolate" && cp -R "$helpers" "$work/vm/bin/helper" && cp -R "$top/test" "$work/vm/src/"
	echo "==> in the virtual machine"
	PYI_VM_ICOUNT=1 PYI_VM_TEST_TIMEOUT=1800 sh "$top/test/vm/run.sh" "$work/vm" "$work/vm/tap" test/bench/lsm.t || cat "$work/vm/tap/vm.tap"
	export PYI_BENCH_TAP="$work/vm/tap/guest.tap"
fi
export PYI_TEST_IMAGES="$work/images" XDG_CACHE_HOME="$work/images" HOST_PATH="$PATH"
sh "$top/test/private.sh" sh -c '"$1" image build -q; shift; exec "$@"' sh "$bin" "$outside" -I -S -B "$top/test/bench/bench.py" "$@"
