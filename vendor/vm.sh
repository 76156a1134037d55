#!/bin/sh
# SPDX-License-Identifier: MIT
#
# vm.sh: fetch what the test virtual machine boots, and print the directory that holds it:
#
#	vmlinuz			Debian trixie's cloud kernel (6.12), whose LSM list can hold bpf and whose cgroups are pure v2
#	lib/modules/VERSION	the few modules that tests use, unpacked, with their dependency list
#	busybox			the static one of the build root
#	version			the kernel package's name
#
# From the mirror that the host's apt is configured with, through the build root. Cached by this recipe's hash and the
# root's; delete the directory to take a newer kernel.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
. "$here/lib.sh"

modules="overlay veth dummy bridge vsock fuse tun ext4 loop"

out=$cache/vm-$(recipe_hash "$here/vm.sh" "$here/root.sh" --)
if [ -e "$out/.complete" ]; then
	echo "$out"
	exit 0
fi
need_root "fetching the test kernel"
"$here/root.sh" >/dev/null
exec 9>"$cache/vm.lock"
flock 9
if [ ! -e "$out/.complete" ]; then
	say "fetching the test kernel into $out"
	rm -rf "$out" "$out.part"
	mkdir -p "$out.part"
	# shellcheck disable=SC2016 # expanded by the inner shell
	"$here/enter.sh" -C "$out.part" sh -euc '
		out=$1 modules=$2
		apt-get -qq update
		name=$(apt-cache depends linux-image-cloud-amd64 | sed -n "s/^ *Depends: \(linux-image-.*\)/\1/p" | head -n 1)
		cd /tmp
		apt-get -qq download "$name" >/dev/null 2>&1 ||
			{ echo "vendor: the mirror has no package $name" >&2; exit 1; }
		dpkg-deb -x linux-image-*.deb image
		cd image
		version=$(ls boot/vmlinuz-* | sed "s,boot/vmlinuz-,,")
		cp "boot/vmlinuz-$version" "$out/vmlinuz"
		echo "$name" >"$out/version"
		tree=$(ls -d lib/modules/"$version" usr/lib/modules/"$version" 2>/dev/null | head -n 1)
		mkdir -p "$out/lib/modules/$version"
		cp "$tree"/modules.builtin "$tree"/modules.order "$out/lib/modules/$version/"
		mkdir -p all/lib/modules && cp -R "$tree" all/lib/modules/
		find all -name "*.ko.xz" -exec xz -d {} +
		busybox depmod -b "$PWD/all" "$version"
		for m in $modules; do
			grep "/$m\.ko:" "all/lib/modules/$version/modules.dep" | tr -d : | tr " " "\n"
		done | sed "s,^/*lib/modules/$version/,," | sort -u | while read -r ko; do
			mkdir -p "$out/lib/modules/$version/$(dirname "$ko")"
			cp "all/lib/modules/$version/$ko" "$out/lib/modules/$version/$ko"
		done
		busybox depmod -b "$out" "$version"
		cp "$(command -v busybox)" "$out/busybox"
	' sh "$out.part" "$modules" >&2
	chmod -R a+rX "$out.part"
	touch "$out.part/.complete"
	mv "$out.part" "$out"
fi
echo "$out"
