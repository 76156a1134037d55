#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Make the build root: a Debian trixie tree that holds every compiler and static library used, so that what is
# built does not depend on the host. Prints the root's path as its last line.
#
# The mirror is the one the host's apt is configured with. The tree lives in the build cache under a name made
# of this file's hash, so an edited recipe makes a new tree and an unchanged one is made once; deleting the cache
# is harmless. Needs root (mmdebstrap unpacks device nodes and owners) and installs mmdebstrap if it is missing.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
. "$here/lib.sh"

packages="
	gcc libc6-dev make pkg-config xz-utils ca-certificates dpkg-dev file patch git
	clang-19 lld-19 llvm-19 libclang-rt-19-dev clang-format-19 clang-tidy-19 cppcheck
	bpftool linux-libc-dev libbpf-dev libelf-dev zlib1g-dev libzstd-dev liburing-dev
	libcyaml-dev libyaml-dev libssl-dev libbz2-dev liblzma-dev libsqlite3-dev libffi-dev libexpat1-dev
	uuid-dev libcmocka-dev busybox-static man-db mandoc shellcheck
"

root=$cache/root-$(recipe_hash "$here/root.sh")
if [ -e "$root/.complete" ]; then
	echo "$root"
	exit 0
fi
need_root "making the build root"
mkdir -p "$cache"
exec 9>"$cache/root.lock"
flock 9
if [ ! -e "$root/.complete" ]; then
	install_on_host mmdebstrap
	mirror=$(debian_mirror Debian)
	security=$(debian_mirror Debian-Security)
	say "making the Debian trixie build root in $root (about a minute)"
	rm -rf "$root.part"
	{
		echo "deb $mirror trixie main"
		echo "deb-src $mirror trixie main"
		echo "deb $mirror trixie-updates main"
		echo "deb-src $mirror trixie-updates main"
		if [ -n "$security" ]; then
			echo "deb $security trixie-security main"
			echo "deb-src $security trixie-security main"
		fi
	} | sed 's/^deb\(-src\)\{0,1\} /&[signed-by=\/usr\/share\/keyrings\/debian-archive-keyring.gpg] /' \
	  >"$cache/sources.$$"
	# shellcheck disable=SC2086 # the package list is split on purpose
	mmdebstrap --quiet --variant=apt --mode=root --architectures=amd64 \
		--aptopt='APT::Install-Recommends "false"' \
		--include="$(echo $packages | tr ' ' ',')" \
		trixie "$root.part" - <"$cache/sources.$$" >&2
	rm -f "$cache/sources.$$"
	rm -rf "$root"
	mv "$root.part" "$root"
	touch "$root/.complete"
fi
echo "$root"
