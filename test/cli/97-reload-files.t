#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Reload of files and programs of a sandbox that runs: what changes, what stays open, what is refused and changes nothing.
. "${0%/*}/lib.sh"
. "$TESTS/cli/named.sh"
need userns
private_state
p=f$$-
named "$p"
(umask 077; echo 'the token of these files' >tok)
D=$T/srv
mkdir -p "$D/a/deny/deep" "$D/a/sub" "$D/b" "$D/c" || exit 1
for f in a/f a/deny/f a/deny/deep/f a/sub/f b/f c/f one.txt two.txt; do echo "$f" >"$D/$f"; done
chmod -R go+rX "$D"

# Says for each path of its arguments what it may do, whenever that changes: r, w, or the errno.
cat >probe.py <<'PY'
import errno, os, sys, time
base, paths = sys.argv[1], sys.argv[2:]
def look(path):
    full = os.path.join(base, path)
    try:
        with open(full) as f:
            said = f.read().strip()
        got = "r" if said == path else "?" + said
    except OSError as e:
        return errno.errorcode[e.errno].lower()
    try:
        open(full, "r+").close()
        got += "w"
    except OSError:
        pass
    return got
last = None
while True:
    now = [look(path) for path in paths]
    if now != last:
        print(*now, flush=True)
        last = now
    time.sleep(0.01)
PY
# What may be done, whichever errno it is refused with: beneath what is covered it is another than where nothing is.
says() { [ "$("$PYISOLATE" logs "$1" | tail -n 1 | sed 's/\(enoent\|eacces\|eperm\)/-/g')" = "$2" ]; }
policy() { # FILE FS-RULE... ; $more follows
	test_file=$1
	shift
	{
		printf 'version: 1\nextends: defaults\nlimits: {wall_time: 10m}\n'
		[ $# = 0 ] || echo "fs:"
		for test_rule in "$@"; do echo "  - $test_rule"; done
		printf '%s' "${more-}"
	} >"$test_file.yml"
}
reload() { pyi reload "$1" "$2.yml" --token-file tok; }
changed() { # NAME POLICY EXPECTED WHAT
	reload "$1" "$2"
	exits 0 "$4"
	ok "$4: $3" wait_for 10 says "$1" "$3"
}
generation_of() { "$PYISOLATE" stats "$1" --json | grep -o '"generation":[0-9]*'; }
refused() { # NAME POLICY TEXT WHAT
	before=$(generation_of "$1")
	reload "$1" "$2"
	exits 125 "$4"
	contains "$err" "$3" "is refused in words"
	is "$(generation_of "$1")" "$before" "and nothing has changed"
}
# Its first process is the supervisor's only child.
init_of() { tr -d ' ' <"/proc/$(supervisor "$1")/task/$(supervisor "$1")/children"; }
mounts_of() { cut -d ' ' -f 5 "/proc/$(init_of "$1")/mountinfo" | sort; }

caches=/var/cache
has root || caches=$XDG_CACHE_HOME
[ -d "$caches" ] || caches=$D # where no images are kept
wide="
ceiling:
  fs: [{write: $D}, {exec: /bin}, {exec: /usr}, {write: $caches}]
"
more=$wide
policy a "read: $D/a" "deny: $D/a/deny"
more=
policy b "read: $D/b" "read: $D/one.txt"
policy all "write: $D" "deny: $D/b"
policy part "read: $D/a/sub" "write: $D/b/f"
policy glob "read: $D/*.txt"
policy rw "write: $D/a" "deny: $D/a/deny"
policy nested "read: $D" "write: $D/a/sub" "deny: $D/a/deny"
policy none

pyi spawn "${p}a" -p a.yml --token-file tok probe.py "$D" a/f a/deny/f a/sub/f b/f c/f one.txt two.txt
exits 0 "spawn"
ok "the start" wait_for 10 says "${p}a" "r - r - - - -"
before=$(mounts_of "${p}a")
changed "${p}a" b "- - - r - r -" "another directory and a file"
changed "${p}a" a "r - r - - - -" "and back"
is "$(mounts_of "${p}a" | grep -v '^/[.]pyisolate')" "$before" "with the mounts of the start"
changed "${p}a" rw "rw - rw - - - -" "read-only becomes writable"
changed "${p}a" a "r - r - - - -" "and read-only again"
changed "${p}a" all "rw rw rw - rw rw rw" "all of what there was a part of"
changed "${p}a" part "- - r rw - - -" "parts of what there was all of"
changed "${p}a" nested "r - rw r r r r" "grants in grants, and a deny"
changed "${p}a" glob "- - - - - r r" "a pattern"
echo three.txt >"$D/three.txt"
rm "$D/one.txt"
changed "${p}a" glob "- - - - - - r" "the same pattern, for the files of now"
has_three() { mounts_of "${p}a" | grep -q three.txt; }
ok "of which there is a new one" has_three
echo one.txt >"$D/one.txt"
changed "${p}a" none "- - - - - - -" "nothing"
is "$(mounts_of "${p}a" | grep -c "^$D/" || :)" 0 "leaves no mount of it"
changed "${p}a" all "rw rw rw - rw rw rw" "all of it again"
rm -r "$D/c"
mkdir -m 755 "$D/c"
echo c/f >"$D/c/f"
policy c "read: $D/c"
changed "${p}a" c "- - - - r - -" "a directory that was made anew, beneath the ceiling"
is "$("$PYISOLATE" logs "${p}a" | grep -c '[?]' || :)" 0 "no file was ever seen empty, or another one's"

# ---- refused, with nothing changed
policy out "read: /etc"
refused "${p}a" out "out.yml:5: fs: 'read /etc' is outside of the ceiling that the sandbox was started with: it lets read '/etc', which no rule of the ceiling does: the nearest is 'write $D' (a.yml:9): narrow it, or spawn it again with a 'ceiling:' that holds it" "what the ceiling does not hold"
policy out "exec: $D/c"
refused "${p}a" out "out.yml:5: fs: 'exec $D/c' is outside of the ceiling" "programs where it lets write"
policy out "read: $D/gone"
refused "${p}a" out "out.yml:5: '$D/gone' does not exist" "a path that is not there"
policy out "read: $T/tok"
refused "${p}a" out "is outside of the ceiling" "another path"
more="
ceiling:
  fs: [{read: /}]
"
policy out "read: $D/a"
more=
refused "${p}a" out "out.yml: ceiling: it is another one than that of the start" "another ceiling"
policy out "write: $D/new" "read: /etc"
refused "${p}a" out "is outside of the ceiling" "a file to be made and a mistake"
nok "the file was not made" test -e "$D/new"
if [ "$caches" != "$D" ]; then
	policy out "write: $caches"
	refused "${p}a" out "which other guests start from: add '- deny: " "writing where images are kept"
else
	skip "no images are kept" "writing where images are kept"
fi
policy out "write: /tmp"
refused "${p}a" out "/tmp" "the sandbox's own /tmp"
ok "all is as it was" says "${p}a" "- - - - r - -"

# ---- dry run
pyi reload "${p}a" a.yml --token-file tok --dry-run
exits 0 "--dry-run"
contains "$out" "- fs: read $D/c  (c.yml:5)" "tells files rule by rule"
contains "$out" "+ fs: deny $D/a/deny  (a.yml:6)" "denies as well"
ok "and changes nothing" says "${p}a" "- - - - r - -"
policy out "read: $D/a" "read: /etc"
pyi reload "${p}a" out.yml --token-file tok --dry-run
exits 125 "--dry-run of what would be refused"
contains "$out" "+ fs: read /etc  (out.yml:6)" "shows it"
contains "$err" "out.yml:6: fs: 'read /etc' is outside" "and says why not"
pyi stop "${p}a"

# ---- without a ceiling: what the policy of the start grants, and parts of it
policy d "write: $D/a" "read: $D/b"
policy dpart "read: $D/a/sub"
pyi spawn "${p}d" -p d.yml --token-file tok probe.py "$D" a/f a/sub/f b/f c/f
ok "the start" wait_for 10 says "${p}d" "rw rw r -"
changed "${p}d" dpart "- r - -" "a part of what the start had"
changed "${p}d" d "rw rw r -" "and all of it"
refused "${p}d" c "c.yml:5: fs: 'read $D/c' is outside of the ceiling" "more than the start had"
policy out "write: $D/b"
refused "${p}d" out "out.yml:5: fs: 'write $D/b' is outside of the ceiling" "writing what it could read"
policy out "read: $D/a" "exec: $D/b"
refused "${p}d" out "needs system calls that the sandbox was started without" "programs"
pyi stop "${p}d"

# ---- what is open stays; what is held shows no more than it did
cat >hold.py <<'PY'
import os, sys, time
base = sys.argv[1]
d = os.open(base + "/a", os.O_RDONLY | os.O_DIRECTORY)
f = open(base + "/a/f")
os.chdir(base + "/a/sub")
def held(path, **kw):
    try:
        os.close(os.open(path, os.O_RDONLY, **kw))
        return "yes"
    except OSError:
        return "no"
while True:
    f.seek(0)
    print(f.read().strip(), held("f", dir_fd=d), held("deny/f", dir_fd=d), held("deny/deep/f", dir_fd=d),
          held("../deny/f"), held("../../b/f"), held(base + "/a/f"), held("/.pyisolate/new"), flush=True)
    time.sleep(0.02)
PY
pyi spawn "${p}h" -p a.yml --token-file tok hold.py "$D"
ok "held: at the start" wait_for 10 says "${p}h" "a/f yes no no no no yes no"
reload "${p}h" b
exits 0 "taken away"
if has bpf-lsm; then
	ok "the open file alone stays" wait_for 10 says "${p}h" "a/f no no no no no no no"
else
	ok "an open file and directory stay" wait_for 10 says "${p}h" "a/f yes no no no no no no"
fi
for i in 1 2 3 4 5 6 7 8 9 10; do
	"$PYISOLATE" reload -q "${p}h" a.yml --token-file tok
	"$PYISOLATE" reload -q "${p}h" b.yml --token-file tok
done
aside=$(mounts_of "${p}h" | grep -c '^/[.]pyisolate/k[^/]*$')
diag "$aside put aside"
ok "what is put aside comes back, and does not pile up" test "$aside" -le 4
is "$("$PYISOLATE" logs "${p}h" | awk '$3 != "no" || $4 != "no" || $5 != "no" || $8 != "no"' | wc -l)" 0 "in no moment could they see what both policies deny"
pyi stop "${p}h"

# ---- a directory of our own that was put aside is open again when it comes back
policy whole "read: $D/a"
policy sub "read: $D/a/sub"
pyi spawn "${p}w" -p a.yml --token-file tok probe.py "$D" a/f a/sub/f
ok "one with all of a directory" wait_for 10 says "${p}w" "r r"
changed "${p}w" sub "- r" "a part of it"
changed "${p}w" whole "r r" "all of it"
changed "${p}w" none "- -" "none of it, and its place is closed"
changed "${p}w" whole "r r" "all of it anew"
changed "${p}w" sub "- r" "and the part again"
pyi stop "${p}w"

# ---- what was put aside is looked at again: a cover goes along with the directory that the host renames
pyi spawn "${p}r" -p a.yml --token-file tok probe.py "$D" a/f a/deny/f b/f
ok "one to be put aside" wait_for 10 says "${p}r" "r - -"
changed "${p}r" b "- - r" "put aside"
mv "$D/a/deny" "$D/a/was"
mkdir -m 755 "$D/a/deny"
echo a/deny/f >"$D/a/deny/f"
changed "${p}r" a "r - -" "comes back with the cover in its place"
changed "${p}r" b "- - r" "and so it does"
changed "${p}r" a "r - -" "each time"
pyi stop "${p}r"
rm -r "$D/a/deny"
mv "$D/a/was" "$D/a/deny"

# ---- programs
if has helper:true; then
	cat >exec.py <<'PY'
import os, sys, time
def runs(path):
    pid = os.fork()
    if pid == 0:
        try: os.execv(path, [path])
        except OSError: os._exit(100)
    return "yes" if os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0 else "no"
last = None
while True:
    now = [runs(path) for path in sys.argv[1:]]
    if now != last: print(*now, flush=True)
    last = now
    time.sleep(0.02)
PY
	cp "$HELPERS/true" "$D/a/tool"
	cp "$HELPERS/true" "$D/b/tool"
	chmod 755 "$D/a/tool" "$D/b/tool"
	more="
ceiling:
  fs: [{exec: $D}]
"
	policy xa "exec: $D/a/tool"
	more=
	policy xb "exec: $D/b/tool" "read: $D/a"
	policy xd "exec: $D/a" "exec: $D/b"
	printf 'exec: [{deny: %s}]\n' "$D/b/tool" >>xd.yml
	pyi spawn "${p}x" -p xa.yml --token-file tok exec.py "$D/a/tool" "$D/b/tool"
	exits 0 "spawn with a program"
	ok "it runs" wait_for 10 says "${p}x" "yes no"
	changed "${p}x" xb "no yes" "another program, and the first one for reading"
	changed "${p}x" xd "yes no" "directories of programs, but one"
	changed "${p}x" xb "no yes" "and back"
	pyi stop "${p}x"
else
	skip "the helper true was not built" "programs"
fi

# ---- what the host mounts later is the host's own, where its mounts are shared, too (this mount namespace is the test's)
mount --bind "$D" "$D" && mount --make-shared "$D"
pyi spawn "${p}s" -p a.yml --token-file tok probe.py "$D" a/f b/f
ok "a granted directory of a shared mount" wait_for 10 says "${p}s" "r -"
mounts=$(mounts_of "${p}s")
mount -t tmpfs none "$D/a/sub"
is "$(mounts_of "${p}s")" "$mounts" "a mount in it does not come in"
changed "${p}s" b "- r" "another one, by a reload"
mounts=$(mounts_of "${p}s")
mkdir "$D/b/sub"
mount -t tmpfs none "$D/b/sub"
is "$(mounts_of "${p}s")" "$mounts" "nor one in that"
pyi stop "${p}s"
umount "$D/b/sub" "$D/a/sub" "$D"
rmdir "$D/b/sub"

# ---- one that ends in the middle
pyi spawn "${p}e" -p a.yml --token-file tok probe.py "$D" a/f
ok "one that is going to end" wait_for 10 says "${p}e" "r"
supervisor=$(supervisor "${p}e")
(
	for i in 1 2 3 4 5 6 7 8 9 10; do
		"$PYISOLATE" reload -q "${p}e" b.yml --token-file tok
		"$PYISOLATE" reload -q "${p}e" a.yml --token-file tok
	done
) >reloads.out 2>&1 &
sleep 0.03
kill -KILL "$supervisor"
wait
ok "is lost" until_state 10 "${p}e" lost
ok "and its supervisor gone" is_gone "$supervisor"
unlike "$(cat reloads.out)" "AddressSanitizer|not all what" "with nothing to mend"

# ---- more mounts than there may be
if has vm && [ -w /proc/sys/fs/mount-max ]; then
	pyi spawn "${p}m" -p a.yml --token-file tok probe.py "$D" a/f b/f
	ok "one with little room" wait_for 10 says "${p}m" "r -"
	max=$(cat /proc/sys/fs/mount-max)
	mounts_of "${p}m" | wc -l >/proc/sys/fs/mount-max
	reload "${p}m" b
	echo "$max" >/proc/sys/fs/mount-max
	exits 125 "a full table of mounts"
	contains "$err" "fs.mount-max" "is said to be full"
	ok "and the tree is as it was" wait_for 10 says "${p}m" "r -"
	pyi stop "${p}m"
else
	skip "fs.mount-max is the whole host's" "a full table of mounts"
fi

# ---- faults, and whoever does it killed at each of them
if has helper:pyisolate-faults; then
	more=$wide
	policy a "read: $D/a" "deny: $D/a/deny" "read: $D/two.txt"
	more=
	mkdir -m 755 "$D/b/covered"
	policy b "read: $D/b" "deny: $D/b/covered" "read: $D/one.txt"
	"$HELPERS/pyisolate-faults" spawn "${p}f" -p a.yml --token-file tok probe.py "$D" a/f a/deny/f b/f one.txt
	PYISOLATE=$HELPERS/pyisolate-faults
	ok "another one" wait_for 10 says "${p}f" "r - - -"
	settled() { is_state "${p}f" running && says "${p}f" "r - - -"; }
	has root && more_points= || more_points="271 272 273"
	for point in 260 261 262 263 264 265 266 267 268 269 270 $more_points; do
		for how in "" :kill; do
			before=$(generation_of "${p}f")
			PYISOLATE_FAULT=$point$how
			export PYISOLATE_FAULT
			reload "${p}f" b
			unset PYISOLATE_FAULT
			isnt "$code" 0 "a fault at $point$how is an error: $(printf '%s' "$err" | tail -n 1 | cut -c 1-160)"
			ok "after it the tree is the old policy's" wait_for 10 settled
			is "$(generation_of "${p}f")" "$before" "and so is the generation"
		done
	done
	changed "${p}f" b "- - r r" "a reload without faults"
	changed "${p}f" a "r - - -" "and another"
	pyi stop "${p}f"
else
	skip "the helper pyisolate-faults was not built" "faults"
fi
done_testing
