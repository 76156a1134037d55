#!/bin/sh
# SPDX-License-Identifier: MIT
#
# pyisolate policy: check, show and why, and what each template allows and refuses by its rules.
. "${0%/*}/lib.sh"

complains() { is "$err" "$1" "$2"; }

# --- check

cat >good.yml <<'END'
version: 1
extends: stdlib.readonly
on_violation: errno
fs:
  - read: /srv/data/*.parquet
  - deny: /srv/data/private
  - write: out
net:
  - connect: api.example.com:443
  - deny: 169.254.0.0/16:*
  - bind: 127.0.0.1:8080
exec:  [{allow: /usr/bin/git}, {deny: /usr/bin/perl}]
env:   [{pass: LANG}, {set: "TZ=UTC"}]
imports: [math, json]
limits: {memory: 256MiB, cpu: 50%, cpu_time: 10s, wall_time: 30s, pids: 16, open_files: 64, output: 10MiB, tmp: 64MiB}
END
pyi policy check good.yml
exits 0 "a good policy passes"
is "$out" "good.yml: ok" "and check says so"
is "$err" "" "without a complaint"
pyi policy check -q good.yml
is "$code$out$err" 0 "check -q says nothing"

cat >bad.yml <<'END'
version: 1
fs:
  - raed: /a
  - read: relative/../up
net:
  - connect: example.com
limits:
  memory: 256MBi
  mmeory: 1
extra: 1
END
pyi policy check bad.yml
exits 125 "a bad policy is 125"
complains "pyisolate: bad.yml:3: unknown key 'raed' in fs, did you mean 'read'?
pyisolate: bad.yml:4: 'relative/../up': '..' may only begin a relative path: write the path without it
pyisolate: bad.yml:6: the port is missing: write 'example.com:443', or ':*' for all
pyisolate: bad.yml:8: memory: unknown unit 'MBi' in '256MBi', did you mean 'MiB'?
pyisolate: bad.yml:9: unknown key 'mmeory' in limits, did you mean 'memory'?
pyisolate: bad.yml:10: unknown key 'extra' in the policy" "every mistake is told, not only the first"
is "$out" "" "and nothing is said to be right"

pyi policy check good.yml bad.yml gone.yml
exits 125 "one bad file of three is enough"
contains "$out" "good.yml: ok" "the good one is still named"
contains "$err" "pyisolate: cannot open 'gone.yml': No such file or directory" "so is the missing one"

pyi policy check nosuchtemplate
exits 125 "an unknown template"
pyi policy check mll
contains "$err" "no template 'mll', did you mean 'ml'?" "a near one is suggested"

# --- hostile files: one clear line, 125, at once

refuses() {	# NAME WORDS: h.yml is refused with one line
	run timeout 10 "$PYISOLATE" policy check h.yml
	exits 125 "$1"
	contains "$err" "$2" "$1: the line says why"
	is "$(wc -l <"$ERR")" 1 "$1: one line"
}

printf 'version: 1\nfs: &a\n  - read: /x\nexec: *a\n' >h.yml
refuses "an anchor" "h.yml:2: YAML anchors"
printf 'version: 1\nfs: *a\n' >h.yml
refuses "an alias" "h.yml:2: YAML aliases"
printf 'version: 1\nfs: []\nfs: []\n' >h.yml
refuses "a key given twice" "h.yml:3: duplicate key 'fs', first in line 2"
printf 'version: 1\nfs: [\0]\n' >h.yml
refuses "a NUL byte" "h.yml:2: NUL byte"
printf 'version: 1\n# \377\n' >h.yml
refuses "bad UTF-8" "h.yml:2: not UTF-8"
head -c 300000 "$PYISOLATE" >h.yml
refuses "a binary" "h.yml:1: "
head -c 1000000 /dev/zero | tr '\0' '[' >h.yml
refuses "a million brackets" "nested too deeply"
head -c 1048577 /dev/zero | tr '\0' ' ' >h.yml
refuses "more than 1 MiB" "larger than 1 MiB"
: >h.yml
refuses "an empty file" "empty"
printf 'version: 1\nextends: ./h.yml\n' >h.yml
refuses "a policy that extends itself" "goes in a circle"
rm h.yml
mkfifo h.yml
refuses "a fifo" "is not a regular file"
rm h.yml
ln -s /dev/zero h.yml
refuses "a device" "is not a regular file"
ln -sf h.yml h.yml
refuses "a symlink to itself" "cannot open 'h.yml'"
rm h.yml
printf 'version: 1\nfs:\n  - read: /a\n  - deny: /a\n' >h.yml
refuses "a path both allowed and denied" "h.yml:4: '/a' is both allowed (h.yml:3) and denied"

# A file that comes and goes while it is read: either it is gone or it is whole.
(
	i=0
	while [ $i -lt 300 ]; do
		cp good.yml flicker.yml
		rm flicker.yml
		i=$((i + 1))
	done
) &
writer=$!
i=0 odd=
while [ $i -lt 60 ]; do
	run "$PYISOLATE" policy check flicker.yml
	case "$code $err" in
	"0 " | "125 pyisolate: cannot open 'flicker.yml': No such file or directory") ;;
	"125 pyisolate: flicker.yml: empty: a policy begins with 'version: 1'") ;;	# just made, nothing in it yet
	*) odd="$code $err" ;;
	esac
	i=$((i + 1))
done
wait $writer
is "$odd" "" "a policy that disappears while it is read is missing or whole"

# --- show

pyi policy show good.yml
exits 0 "show"
contains "$out" "  - deny: \"/srv/data/private\"  # good.yml:6" "a rule with its origin"
contains "$out" "  - write: \"$T/out\"  # good.yml:7" "a relative path from the file's directory"
contains "$out" "template stdlib.readonly:" "the parent's rules"
like "$out" "^# sha256 [0-9a-f]{64}\$" "the digest"
like "$out" "^# path automaton: [0-9]+ states, [0-9]+ byte classes\$" "the size of the path automaton"
printf '%s\n' "$out" >again.yml
digest=$(head -n 1 again.yml)
pyi policy show again.yml
is "$(printf '%s\n' "$out" | head -n 1)" "$digest" "what is shown is a policy, and the same one"
pyi policy show good.yml --allow-read /extra --memory 1GiB
contains "$out" "  - read: \"/extra\"  # --allow-read" "flags are part of it"
contains "$out" "  memory: 1GiB" "and replace limits"
isnt "$(printf '%s\n' "$out" | head -n 1)" "$digest" "the digest changes"
pyi policy show --allow-read ./here
contains "$out" "  - read: \"$T/here\"  # --allow-read" "flags alone stand over the defaults"
# A line for YAML is not only what ends in a newline.
lined="$(printf 'a\342\200\250  - write: ')/etc"
mkdir -p "$lined"
printf 'version: 1\nfs: [{read: /srv}]\n' >"$lined/p.yml"
pyi policy show "$lined/p.yml"
printf '%s\n' "$out" >again.yml
pyi policy show again.yml
is "$(printf '%s\n' "$out" | grep -c '  - ')" 1 "the name of a file becomes no rule"
printf 'version: 1\nfs: [{read: "/srv/\\u009b31m"}]\n' >c1.yml
pyi policy why c1.yml read "$(printf '/srv/\302\23331m/f')"
contains "$out" 'allowed: fs: read /srv/\u009b31m' "what a terminal could obey is shown as it is written"
pyi policy show good.yml --memory lots
exits 125 "a bad flag"
complains "pyisolate: --memory: memory: 'lots' is not a number" "names the flag"

cat >old.yml <<'END'
version: 0.1
defaults: {net: none, mem: 64MiB, cpu_ms: 1500}
sandboxes:
  guest:
    fs: [{allow: /srv/x}]
    net: [{tcp: "10.0.0.1:80"}]
END
pyi policy show old.yml
exits 0 "spellings of the first releases are read"
contains "$out" '  - write: "/srv/x"' "allow is write"
contains "$out" '  - connect: "10.0.0.1:80"' "tcp is connect"
contains "$out" "  cpu_time: 1.5s" "cpu_ms is the total CPU time"
contains "$err" "pyisolate: old.yml:5: 'allow' in 'fs' is now 'write'" "with a note for each"

# --- a pattern that costs too much
cat >costly.yml <<'END'
version: 1
fs:
  - read: /srv/data
  - read: /srv/*.x
  - deny: "/srv/**a????????????????????"
END
pyi policy check costly.yml
exits 125 "patterns that need too many states are refused"
contains "$err" "costly.yml:5: '/srv/**a????????????????????' is too costly" "the costly pattern is named"
is "$(printf '%s\n' "$err" | wc -l)" 1 "in one line"
sed -i 's/?//g' costly.yml
pyi policy check costly.yml
exits 0 "its twin without them is good"

# --- why

why() {	# CODE TEXT ARG...: the first line of the answer
	want_code=$1 want=$2
	shift 2
	pyi policy why "$@"
	exits "$want_code" "why $*"
	is "$(head -n 1 "$OUT")" "$want" "why $*: the rule"
}
why 0 "allowed: fs: read /srv/data/*.parquet (good.yml:5)" good.yml read /srv/data/a.parquet
why 1 "denied: fs: deny /srv/data/private (good.yml:6)" good.yml read /srv/data/private/a.parquet
why 1 "denied: fs: default, no rule allows to write /srv/data/a.parquet" good.yml write /srv/data/a.parquet
why 1 "denied: fs: default, no rule allows to read /etc/passwd" good.yml read /etc/../etc//passwd
why 0 "allowed: fs: write $T/out (good.yml:7)" good.yml write out/x
why 0 "allowed: fs: exec /usr/bin/git (good.yml:12)" good.yml exec /usr/bin/git
why 1 "denied: exec: deny /usr/bin/perl (good.yml:12)" good.yml exec /usr/bin/perl
why 0 "allowed: net: connect api.example.com:443 (good.yml:9)" good.yml connect api.example.com:443
why 1 "denied: net: deny 169.254.0.0/16:* (good.yml:10)" good.yml connect 169.254.169.254:80
why 0 "allowed: net: bind 127.0.0.1:8080 (good.yml:11)" good.yml bind 127.0.0.1:8080
why 1 "denied: net: default, no rule allows to bind 0.0.0.0:8080" good.yml bind 0.0.0.0:8080
why 0 "allowed: the sandbox has a /tmp of its own, not the host's" good.yml write /tmp/x
why 0 "allowed: fs: read $T/more (--allow-read)" --allow-read more good.yml read more
pyi policy why good.yml write /srv/data/a.parquet
contains "$out" "it would be allowed by: --allow-write /srv/data/a.parquet" "a refusal names the flag that would lift it"
pyi policy why web_scraper connect 127.0.0.1:443
contains "$out" "(loopback): '*' and wider prefixes do not name it" "and why '*' does not"
pyi policy why bad.yml read /a
exits 125 "why with a bad policy"
pyi policy why good.yml raed /a
exits 2 "why with an unknown action"
contains "$err" "did you mean 'read'?" "which is suggested"
pyi policy why good.yml connect nowhere
exits 2 "why with half an address"

# --- usage

pyi policy
exits 2 "no subcommand"
pyi policy chek x
exits 2 "an unknown subcommand"
contains "$err" "did you mean 'check'?" "which is suggested"
pyi policy check
exits 2 "check without a file"
pyi policy show a b
exits 2 "show with two"
pyi policy --help
exits 0 "help"

# --- the templates: what each allows and what it refuses

allows() { why_twin 0 "$@"; }
denies() { why_twin 1 "$@"; }
why_twin() {
	want_code=$1
	shift
	pyi policy why "$@"
	exits "$want_code" "template $* is $([ "$want_code" = 0 ] && echo allowed || echo denied)"
}
for name in defaults compute-only stdlib.readonly readonly-fs ml ml-inference web_scraper write-db; do
	pyi policy check $name
	exits 0 "template $name"
	denies $name read /etc/shadow
	denies $name write /usr/bin/python3
	denies $name read /home/someone/.ssh/id_rsa
	denies $name connect 169.254.169.254:80
	denies $name connect 127.0.0.1:443
	denies $name exec /bin/sh
	allows $name write /tmp/scratch
done
allows stdlib.readonly read /usr/share/zoneinfo/Europe/Berlin
denies stdlib.readonly read /usr/bin/python3
denies stdlib.readonly connect 93.184.216.34:443
allows readonly-fs read /usr/bin/python3
denies readonly-fs read /var/log/syslog
denies readonly-fs write /usr/share/x
denies compute-only read /usr/share/zoneinfo/UTC
denies compute-only connect 93.184.216.34:443
denies compute-only bind 10.0.0.1:8080
allows ml read /usr/lib/python3/dist-packages/numpy/__init__.py
allows ml write /srv/models/checkpoint.bin
denies ml write /srv/data/x
denies ml connect 93.184.216.34:443
allows ml-inference read /srv/models/m.onnx
allows ml-inference write /srv/results/r.json
denies ml-inference write /srv/models/m.onnx
denies ml-inference connect 93.184.216.34:443
allows web_scraper connect 93.184.216.34:443
allows web_scraper connect udp://8.8.8.8:53
denies web_scraper connect 93.184.216.34:22
denies web_scraper connect 10.0.0.5:443
denies web_scraper bind 93.184.216.34:443
allows write-db write /var/lib/pyisolate/db/app.db-journal
denies write-db write /var/lib/pyisolate/other
denies write-db connect 93.184.216.34:443

# --- the site's own templates come before the built-in ones, and may build on them

# In a mount namespace with an /etc of its own, so that the host's stays as it is.
on_site() {
	# shellcheck disable=SC2016 # expanded by the inner shell
	run unshare --mount sh -euc '
		mount -t tmpfs tmpfs /etc
		mkdir -p /etc/pyisolate/policy
		cd /etc/pyisolate/policy
		printf "version: 1\nextends: write-db\nfs:\n  - write: /srv/site-db\n" >write-db.yml
		printf "version: 1\nfs:\n  - read: /srv/site\n" >site-only.yml
		exec "$@"' sh "$PYISOLATE" policy why "$@"
}
if has root; then
	on_site write-db write /srv/site-db/x
	is "$out" "allowed: fs: write /srv/site-db (/etc/pyisolate/policy/write-db.yml:4)" "a template of the site"
	on_site write-db write /var/lib/pyisolate/db/x
	is "$out" "allowed: fs: write /var/lib/pyisolate/db (template write-db:6)" "builds on the one it replaces"
	on_site site-only read /srv/site/x
	exits 0 "and may have a name of its own"
	on_site ml read /srv/data/x
	exits 0 "the others stay"
	# `run` has that of those who name none ready from the build on.
	for named in "" "--policy defaults" "--policy defaults --pids 9"; do
		# shellcheck disable=SC2086 # words
		run unshare --mount sh -euc '
			mount -t tmpfs tmpfs /etc
			mkdir -p /etc/pyisolate/policy
			printf "version: 1\nlimits: {pids: 7}\n" >/etc/pyisolate/policy/defaults.yml
			exec "$@"' sh "$PYISOLATE" run --dry-run $named -c pass
		case $named in
		*pids*) contains "$out" "pids        9" "$named: a flag over the site's own defaults" ;;
		*) contains "$out" "pids        7" "run $named: the site's own defaults" ;;
		esac
	done
	run "$PYISOLATE" run --dry-run -c pass
	bare=$(printf '%s\n' "$out" | sed 's/[0-9]\{7,\}/N/g')
	run env OPENSSL_ia32cap=0 "$PYISOLATE" run --dry-run --policy defaults -c pass
	is "$(printf '%s\n' "$out" | sed 's/[0-9]\{7,\}/N/g')" "$bare" "ready or loaded: the same plan"
else
	skip "needs root" "templates of the site"
fi

done_testing
