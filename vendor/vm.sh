#!/bin/sh
# SPDX-License-Identifier: MIT
#
# vm.sh: make what the test virtual machine boots, and print the directory that holds it:
#
#	vmlinuz			Debian trixie's cloud kernel (6.12), whose LSM list can hold bpf and whose cgroups are pure v2
#	base.cpio		an initramfs with busybox and base.tar: a small Debian trixie (coreutils, util-linux, python3, iproute2,
#				strace) and the few kernel modules that tests use. More archives may be appended to it.
#	busybox			the static one of the build root
#	version			the kernel package's name
#	qemu			runs trixie's qemu-system-x86_64 from the tree beside it. An older one, such as Debian 12's 7.2, emulates
#				two CPUs with errors: a CPU can execute a stale instruction after the other has patched the kernel's
#				text, and the guest panics (an invalid opcode at a static branch); it is also half as fast.
#
# From the mirror that the host's apt is configured with. Cached by this recipe's hash and the root's; delete the
# directory to take newer packages. Needs root (the tree has owners and modes).
set -eu

here=$(cd "$(dirname "$0")" && pwd)
. "$here/lib.sh"

modules="overlay veth dummy bridge vsock fuse tun loop"
packages=mount,python3,iproute2,strace,procps

out=$cache/vm-$(recipe_hash "$here/vm.sh" "$here/root.sh" --)
if [ -e "$out/.complete" ]; then
	echo "$out"
	exit 0
fi
need_root "making the test machine"
root=$("$here/root.sh")
exec 9>"$cache/vm.lock"
flock 9
if [ ! -e "$out/.complete" ]; then
	install_on_host mmdebstrap
	say "making the test machine in $out (about a minute)"
	rm -rf "$out" "$out.part"
	mkdir -p "$out.part"
	mmdebstrap --quiet --variant=essential --mode=root --architectures=amd64 \
		--aptopt='APT::Install-Recommends "false"' --dpkgopt='path-exclude=/usr/share/doc/*' \
		--dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
		--dpkgopt='path-exclude=/usr/share/perl/*' --dpkgopt='path-exclude=/usr/lib/*/perl/*' \
		--include="$packages" \
		trixie "$out.part/tree" - <"$root/etc/apt/sources.list" >&2
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
		from=$(ls -d lib/modules/"$version" usr/lib/modules/"$version" 2>/dev/null | head -n 1)
		to=$out/tree/usr/lib/modules/$version
		mkdir -p "$to"
		cp "$from"/modules.builtin "$from"/modules.order "$to/"
		mkdir -p all/lib/modules && cp -R "$from" all/lib/modules/
		find all -name "*.ko.xz" -exec xz -d {} +
		busybox depmod -b "$PWD/all" "$version"
		for m in $modules; do
			grep "/$m\.ko:" "all/lib/modules/$version/modules.dep" | tr -d : | tr " " "\n"
		done | sed "s,^/*lib/modules/$version/,," | sort -u | while read -r ko; do
			mkdir -p "$to/$(dirname "$ko")"
			cp "all/lib/modules/$version/$ko" "$to/$ko"
		done
		busybox depmod -b "$out/tree" "$version"
		cp "$(command -v busybox)" "$out/busybox"
		cp "$out/busybox" "$out/tree/usr/bin/busybox"
		cd "$out/tree"
		rm -rf var/cache/apt var/lib/apt var/lib/dpkg/info usr/share/doc usr/share/man usr/share/locale usr/share/info \
			usr/share/zoneinfo/right usr/lib/x86_64-linux-gnu/gconv
		mkdir -p /tmp/initramfs/bin /tmp/initramfs/new
		tar -cf /tmp/initramfs/base.tar --exclude=./dev --exclude=./proc --exclude=./sys .
		cd /tmp/initramfs
		cp "$out/busybox" bin/busybox
		ln -s busybox bin/sh
		find . | busybox cpio -o -H newc >"$out/base.cpio" 2>/dev/null
	' sh "$out.part" "$modules" >&2
	rm -rf "$out.part/tree"
	mmdebstrap --quiet --variant=extract --mode=root --architectures=amd64 \
		--aptopt='APT::Install-Recommends "false"' --dpkgopt='path-exclude=/usr/share/doc/*' \
		--dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
		--include=qemu-system-x86 trixie "$out.part/qemu-tree" - <"$root/etc/apt/sources.list" >&2
	rm -rf "$out.part/qemu-tree/var" "$out.part/qemu-tree/dev"
	cat >"$out.part/qemu" <<-'END'
		#!/bin/sh
		usr=$(dirname "$0")/qemu-tree/usr
		exec "$usr/lib64/ld-linux-x86-64.so.2" --library-path "$usr/lib/x86_64-linux-gnu" \
			"$usr/bin/qemu-system-x86_64" -L "$usr/share/qemu" -L "$usr/share/seabios" "$@"
	END
	chmod +x "$out.part/qemu"
	chmod -R a+rX "$out.part"
	touch "$out.part/.complete"
	mv "$out.part" "$out"
fi
echo "$out"
