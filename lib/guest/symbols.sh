#!/bin/sh
# SPDX-License-Identifier: MIT
#
# symbols.sh LIBPYTHON.a LIST: print an assembly file that holds what dlsym finds in the guest (lib/guest/dlsym.c), in
# strcmp's order: the functions and data that a shared libpython exports (the archive's symbols of default visibility)
# and the C library's named in LIST. Assembly, because in C each name would need its type.
set -eu

{
	# Not PyInit_*: modules that are inside are imported by name.
	readelf -sW "$1" 2>/dev/null |
		awk '/ (FUNC|OBJECT) +(GLOBAL|WEAK) +DEFAULT +[0-9]/ && $8 ~ /^_?Py/ && $8 !~ /^PyInit_/ { print $8 }'
	sed 's/#.*//' "$2" | tr -s '[:blank:]' '\n' | sed '/^$/d'
} | LC_ALL=C sort -u | awk '
	# Not .rodata: the loader-less start-up code fills in the addresses of functions that have a variant for each CPU.
	BEGIN {
		print "/* Made by lib/guest/symbols.sh: do not edit. */"
		print "\t.section .data.rel.ro,\"aw\"\n\t.balign 16"
		print "\t.globl pyi_guest_symbols\npyi_guest_symbols:"
	}
	{ print "\t.quad .L" NR ", " $0; name[NR] = $0 }
	END {
		print "\t.section .rodata\n\t.balign 8"
		print "\t.globl pyi_guest_n_symbols\npyi_guest_n_symbols:\n\t.quad " NR
		for (i = 1; i <= NR; i++) print ".L" i ":\t.asciz \"" name[i] "\""
		print "\t.section .note.GNU-stack,\"\",@progbits"
	}'
