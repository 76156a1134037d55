#!/bin/sh
# SPDX-License-Identifier: MIT
#
# cpython.sh 3.13t|3.13: build libpython as a static archive, with every standard-library extension in it, and print
# the directory that holds the result:
#
#	include/		Python.h and pyconfig.h
#	libpython.a		the interpreter and its extensions
#	link			the libraries to link with it, on one line
#	lib/			the standard library's Python files, to be frozen, and its test package
#	python			the same interpreter as a program, for the build itself and for comparison in tests
#	version			the source package's version
#
# 3.13t is the free-threaded build, 3.13 the build with the GIL. The source is Debian trixie's python3.13 package with
# its security patches. gcc compiles it: clang 19 has a known regression on computed gotos. Cached by this recipe's
# hash and the root's; takes about three minutes on two cores.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
. "$here/lib.sh"

variant=${1:?usage: cpython.sh 3.13t|3.13}
case $variant in
3.13t) configure=--disable-gil ;;
3.13) configure= ;;
*) die "no such runtime '$variant': use 3.13t or 3.13" ;;
esac

out=$cache/cpython-$variant-$(recipe_hash "$here/cpython.sh" "$here/root.sh" -- "$variant")
if [ -e "$out/.complete" ]; then
	echo "$out"
	exit 0
fi
"$here/root.sh" >/dev/null
exec 9>"$cache/cpython-$variant.lock"
flock 9
if [ ! -e "$out/.complete" ]; then
	say "building CPython $variant in $out (about three minutes)"
	rm -rf "$out" "$out.build"
	mkdir -p "$out" "$out.build"
	# shellcheck disable=SC2016 # expanded by the inner shell
	"$here/enter.sh" -C "$out.build" sh -euc '
		out=$1 configure=$2
		apt-get -qq update
		apt-get -qq source python3.13 >/dev/null 2>&1 ||
			{ echo "vendor: the mirror has no python3.13 source package" >&2; exit 1; }
		cd python3.13-*/
		dpkg-parsechangelog -S Version >"$out/version"
		mkdir b
		cd b
		flags="-O3 -g0 -fstack-protector-strong -fcf-protection -fno-semantic-interposition"
		../configure -q $configure --without-ensurepip --disable-test-modules --without-readline \
			--with-dbmliborder= --with-builtin-hashlib-hashes=md5,sha1,sha2,sha3,blake2 \
			--prefix=/usr MODULE_BUILDTYPE=static LINKFORSHARED= \
			PKG_CONFIG="pkg-config --static" CFLAGS="$flags" >configure.log 2>&1 ||
			{ tail -50 configure.log >&2; exit 1; }
		make -s -j"$(nproc)" >make.log 2>&1 || { tail -50 make.log >&2; exit 1; }
		rm python
		make -s python LINKFORSHARED=-static >>make.log 2>&1 || { tail -50 make.log >&2; exit 1; }
		cp python "$out/python"
		strip "$out/python"
		ls libpython3.13*.a Modules/_decimal/libmpdec/libmpdec.a Modules/expat/libexpat.a \
			Modules/_hacl/libHacl_Hash_SHA2.a |
			sed "1i create $out/libpython.a" | sed "2,\$s/^/addlib /; \$a save" | ar -M
		sed -n "s/^MODULE_.*_LDFLAGS=//p" Makefile | tr " " "\n" | grep "^-l" | sort -u | grep -v "^-lpthread\|^-lm$\|^-ldl$" |
			tr "\n" " " >"$out/link"
		mkdir "$out/include"
		cp -R ../Include/. "$out/include/"
		cp pyconfig.h "$out/include/"
		cp -R ../Lib "$out/lib"
		cp build/lib.*/_sysconfigdata*.py "$out/lib/"
	' sh "$out" "$configure" >&2
	rm -rf "$out.build"
	touch "$out/.complete"
fi
echo "$out"
