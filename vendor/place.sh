#!/bin/sh
# SPDX-License-Identifier: MIT
#
# place.sh FROM TO: put the program there, executable, in pieces of a huge page's size. File systems with large folios
# keep what is written at once in one piece of memory, and then a process maps 2 MiB of the program with one page fault,
# instead of sixteen pages with each; a start has some hundred fewer. Where they have none it is an ordinary copy. A
# write takes only memory that lies together already; so it is dropped from memory again, and the first start, which
# asks for huge pages (cmd/prestart.c), has the kernel move things together.
set -eu

new=$2.placed
rm -f "$new"
trap 'rm -f "$new"' EXIT
dd if="$1" of="$new" bs=2M iflag=fullblock conv=fdatasync status=none
dd if="$new" iflag=nocache count=0 status=none || :
chmod 0755 "$new"
mv -f "$new" "$2"
trap - EXIT
