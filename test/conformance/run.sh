#!/bin/sh
# SPDX-License-Identifier: MIT
#
# A fixed part of CPython's own test suite, run by the same interpreter inside a sandbox and outside; each test must end
# alike, or its difference be explained in differences.txt. TAP: one line per file.
#
# run.sh [FILE...]: only those files, every difference shown. PYISOLATE names the binary, PYI_CPYTHON what
# vendor/cpython.sh made; both have defaults in a checkout.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
binary=${PYISOLATE:-$top/build/pyisolate}
cpython=${PYI_CPYTHON:-$("$top/vendor/cpython.sh" "${RUNTIME:-3.13t}")}
[ -x "$cpython/python" ] || { echo "1..0 # skip there is no CPython build to compare with"; exit 0; }

# Outside, the static interpreter would load the host's name service modules, made for another libc, and crash: as
# root the configuration that names them is covered, in a mount namespace that goes with us.
if [ "$(id -u)" = 0 ] && [ -z "${PYI_CONFORMANCE_INNER-}" ]; then
	exec sh "$top/test/private.sh" env PYI_CONFORMANCE_INNER=1 sh "$0" "$@"
fi
work=$(mktemp -d "${TMPDIR:-/tmp}/pyi-conformance.XXXXXX")
trap 'rm -rf "$work"' EXIT
chmod 0755 "$work"
if [ "$(id -u)" = 0 ]; then
	printf '%s: files\n' passwd group shadow hosts networks protocols services >"$work/nsswitch.conf"
	[ ! -e /etc/nsswitch.conf ] || mount --bind "$work/nsswitch.conf" /etc/nsswitch.conf
fi
sed "s,@LIB@,$cpython/lib," "$here/policy.yml.in" >"$work/policy.yml"
PYTHONPATH=$cpython/lib "$cpython/python" -S -P "$here/compare.py" "$cpython" "$work/policy.yml" "$binary" \
	"$here/tests.txt" "$here/differences.txt" "$@" 2>"$work/errors" || {
	code=$?
	sed '/Could not find platform/d; s/^/# /' "$work/errors"
	exit "$code"
}
