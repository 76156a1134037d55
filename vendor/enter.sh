#!/bin/sh
# SPDX-License-Identifier: MIT
#
# enter.sh [-C DIR] COMMAND...: run a command inside the build root, with the checkout and the build cache at the
# paths they have outside. The mounts live in a mount namespace of their own and go when the command ends.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
. "$here/lib.sh"
top=$(dirname "$here")
dir=$PWD
if [ "${1-}" = -C ]; then
	dir=$2
	shift 2
fi
need_root "building in the build root"
root=$("$here/root.sh")
# shellcheck disable=SC2016 # expanded by the inner shell
exec unshare --mount --propagation private sh -euc '
	root=$1 top=$2 cache=$3 dir=$4
	shift 4
	# first, because the checkout may lie below /tmp
	mount -t tmpfs tmpfs "$root/tmp"
	mkdir -p "$root$top" "$root$cache"
	mount --rbind "$top" "$root$top"
	mount --bind "$cache" "$root$cache"
	mount -t proc proc "$root/proc"
	mount --rbind /dev "$root/dev"
	mount --rbind /sys "$root/sys"
	if [ -e /etc/resolv.conf ]; then
		cat /etc/resolv.conf >"$root/etc/resolv.conf" 2>/dev/null || :
	fi
	exec chroot "$root" /usr/bin/env -i HOME=/root LC_ALL=C.UTF-8 TERM="${TERM-dumb}" \
		PATH=/usr/lib/llvm-19/bin:/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive \
		MAKEFLAGS="${MAKEFLAGS-}" PYISOLATE_CACHE="$cache" PYI_ROOT="$root" \
		sh -euc '\''cd "$1"; shift; exec "$@"'\'' sh "$dir" "$@"
' sh "$root" "$top" "$cache" "$dir" "$@"
