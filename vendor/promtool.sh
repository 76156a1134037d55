#!/bin/sh
# SPDX-License-Identifier: MIT
#
# promtool.sh: prints the path of promtool, for the test of the metrics. From Debian's package prometheus, of which only
# this program is kept, in the cache; a program in the PATH is as good. Fails where neither can be had.
set -eu

. "$(dirname "$0")/lib.sh"
if command -v promtool 2>/dev/null; then exit 0; fi
out=$cache/promtool
if [ ! -x "$out/promtool" ]; then
	mkdir -p "$cache"
	part=$(mktemp -d "$cache/promtool.XXXXXX")
	trap 'rm -rf "$part"' EXIT
	chmod 0755 "$part"
	(cd "$part" && apt-get -qq -o APT::Sandbox::User=root download prometheus >&2 && dpkg -x prometheus_*.deb tree) || die "no promtool to be had"
	mv "$part/tree/usr/bin/promtool" "$part/promtool"
	rm -rf "$part/tree" "$part"/*.deb
	mv -T "$part" "$out" 2>/dev/null || [ -x "$out/promtool" ]
fi
echo "$out/promtool"
