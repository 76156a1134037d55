#!/bin/sh
# SPDX-License-Identifier: MIT
#
# demo.sh BIN: the main job, on real input. An untrusted script reads a file the policy grants, counts its words, writes
# a report where the policy lets it, and is refused three things; then the host looks at what came out.
set -eu

top=$(cd "$(dirname "$0")/../.." && pwd)
bin=$1
case $bin in /*) ;; *) bin=$PWD/$bin ;; esac
cd "$top"
shown="pyisolate run -v --policy test/demo/policy.yml test/demo/demo.py README.md build/demo"

rm -rf build/demo
mkdir -p build/demo/private
echo "a secret of the host" >build/demo/private/key
chmod 0600 build/demo/private/key

bold='' plain=''
if [ -t 1 ] && [ -z "${NO_COLOR-}" ]; then
	bold=$(printf '\033[1m')
	plain=$(printf '\033[0m')
fi
title() { printf '\n%s%s%s\n\n' "$bold" "$*" "$plain"; }

title "\$ $shown"
start=$(date +%s%N)
code=0
"$bin" run -v --result build/demo/result.json --policy test/demo/policy.yml \
	test/demo/demo.py "$top/README.md" "$top/build/demo" 2>build/demo/stderr || code=$?
took=$((($(date +%s%N) - start) / 1000000))
if [ "$code" != 0 ]; then
	cat build/demo/stderr >&2
	echo "demo: the run ended with $code" >&2
	exit 1
fi

title "what pyisolate said about it on stderr (-v)"
sed "s,$top/,,g; s/^/  /" build/demo/stderr

title "which rule refused it, from the result record (build/demo/result.json, read in a sandbox of its own)"
"$bin" run --allow-read build/demo/result.json -c '
import json, sys
r = json.load(open(sys.argv[1]))
for d in r["denials"]:
    what = (d.get("path") or d.get("address")).replace(sys.argv[2], "")
    rule = (d["rule"] or "").replace(sys.argv[2], "")
    print("  %-8s %-28s %-32s %s" % (d["op"], what, rule, (d.get("file") or "").replace(sys.argv[2], "")))
on = [n for n, layer in r["layers"].items() if layer["state"] == "on"]
print("\n  reason %s, exit code %d, %.1f ms, %.1f MiB at most\n  layers in force: %s" % (
    r["reason"], r["exit_code"], r["wall_ms"], (r["memory_peak_bytes"] or 0) / 2**20, ", ".join(on)))
' "$top/build/demo/result.json" "$top/"

title "on the host"
stat -c '  %A %U:%G %s bytes  %n' build/demo/report.txt
want=$(sha256sum <README.md | cut -d' ' -f1)
if grep -q "SHA-256 $want" build/demo/report.txt; then
	echo "  sha256sum agrees: $want"
else
	echo "demo: the report does not hold README.md's SHA-256" >&2
	exit 1
fi
echo "  the whole run, from the shell and back: $took ms"
