#!/bin/sh
# SPDX-License-Identifier: MIT
#
# prometheus.sh: prints a directory with the programs promtool, prometheus and prometheus-node-exporter, for the tests of
# the metrics. From Debian's packages, of which only these programs are kept, in the cache: nothing is installed, so no
# service of the distribution is started. Where the host has all three in one place, that. Fails where they cannot be had.
set -eu

. "$(dirname "$0")/lib.sh"
programs='promtool prometheus prometheus-node-exporter'
is_whole() { for p in $programs; do [ -x "$1/$p" ] || return 1; done; }

tool=$(command -v promtool 2>/dev/null) || tool=
if [ -n "$tool" ] && is_whole "${tool%/*}"; then
	echo "${tool%/*}"
	exit 0
fi
out=$cache/prometheus
if ! is_whole "$out"; then
	mkdir -p "$cache"
	part=$(mktemp -d "$cache/prometheus.XXXXXX")
	trap 'rm -rf "$part"' EXIT
	chmod 0755 "$part"
	(
		cd "$part"
		apt-get -qq -o APT::Sandbox::User=root download prometheus prometheus-node-exporter >&2
		for deb in *.deb; do dpkg -x "$deb" tree; done
	) || die "no prometheus to be had"
	for p in $programs; do mv "$part/tree/usr/bin/$p" "$part/$p"; done
	rm -rf "$part/tree" "$part"/*.deb
	mv -T "$part" "$out" 2>/dev/null || is_whole "$out"
fi
echo "$out"
