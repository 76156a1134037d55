#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Files that were not granted, or granted for reading only, by every road that Python offers.
. "${0%/*}/../cli/lib.sh"
. "$TESTS/escape/twin.sh"

mkdir -p granted/inner granted/private other twin
echo "the public text" >granted/file
echo "the SECRET text" >granted/private/secret
echo "the SECRET text" >other/secret
cp granted/file granted/second
G=$T/granted
S=$T/other/secret
read_only="--allow-read $G"

# Control: what was granted works, or the refusals below would prove nothing.
inside --allow-read "$G" -- read "$G/file"
contains "$out" "the public text" "a granted file can be read"
inside --allow-write "$G" -- append "$G/second"
succeeded "a file granted for writing can be written"
is "$(tail -c 4 granted/second)" more "and the host sees it"

twin "a file that was not granted" --want '^refused: ENOENT$' --args "$S" --guest "$read_only" read
twin "the parent of a granted directory" --want '^refused: ENOENT$' --args "$G/../other/secret" \
	--guest "$read_only" read
twin "climbing by descriptors" --want '^refused: (ENOENT|EACCES)$' --args "$G $S" --guest "$read_only" walk-up
ln -s "$S" granted/link
twin "a symlink in a granted directory" --want '^refused: (ENOENT|EACCES)$' --args "$G/link" \
	--guest "$read_only" read

# A deny inside an allow.
twin "a deny inside an allow" --want '^refused: (EACCES|EPERM)$' --args "$G/private/secret" \
	--guest "--allow-read $G --deny-read $G/private" read
twin "a denied file" --want '^refused: (EACCES|EPERM)$' --args "$G/private/secret" \
	--guest "--allow-read $G --deny-read $G/private/secret" read
twin "a deny inside an allow, through .." --want '^refused: (EACCES|EPERM)$' \
	--args "$G/inner/../private/secret" --guest "--allow-read $G --deny-read $G/private" read
twin "a deny inside an allow, by descriptors" --want '^refused: (EACCES|EPERM|ENOENT)$' --args "$G/private $S" \
	--guest "--allow-read $G --deny-read $G/private" walk-up
cat >deny.yml <<END
version: 1
fs:
  - deny: $G/private
  - write: $G
END
inside --policy "$T/deny.yml" -- create "$G/private/new"
refused "a denied directory cannot be written either"
inside --policy "$T/deny.yml" -- rename "$G/private"
refused "nor moved aside" '^refused: (EPERM|EACCES|EBUSY|EXDEV)$'
inside --policy "$T/deny.yml" -- rename "$G/private/secret"
refused "nor what is in it"
is "$(cat granted/private/secret)" "the SECRET text" "the denied file is what it was"

# What cannot be read cannot be written either: its name alone would say where to plant something.
chmod 0777 granted/private
inside --allow-write "$G" --deny-read "$G/private" -- create "$G/private/new"
refused "a directory denied for reading cannot be written"
ok "nothing is there" test ! -e granted/private/new
chmod 0755 granted/private
run "$PYISOLATE" run --allow-write "$G/inner" --deny-read "$G" -c 'import os, sys; print(os.path.exists(sys.argv[1]))' "$G/inner"
is "$out" False "nor is anything beneath it granted"

# What is above a denied path must not be moved aside, to make the path again: outside would load what is planted there.
aside='
import os, sys
os.chdir(sys.argv[1])
for act in (lambda: os.rename("repo", "aside"), lambda: os.mkdir("repo"), lambda: os.mkdir("repo/hooks"),
            lambda: open("repo/hooks/planted", "w").write("x")):
    try:
        act()
    except OSError:
        pass
open("repo/allowed", "w").write("x")'
mkdir -p tree/repo/hooks
run "$python" -I -c "$aside" "$T/tree"
ok "a directory above a denied one is moved aside outside" test -e tree/repo/hooks/planted
rm -rf tree
mkdir -p tree/repo/hooks tree/repo/objects
chmod -R a+rwX tree
run "$PYISOLATE" run --allow-write "$T/tree" --deny-write "$T/tree/repo/hooks" -c "$aside" "$T/tree"
ok "not inside" test ! -e tree/repo/hooks/planted -a ! -e tree/aside
ok "while what is beside it is written" test -e tree/repo/allowed
run "$PYISOLATE" run -v --allow-write "$T/tree" --deny-write "$T/tree/missing/hooks" -c pass
if has bpf-lsm; then
	exits 0 "a deny of what is not there yet is kept by BPF LSM"
	run "$PYISOLATE" run --allow-write "$T/tree" --deny-write "$T/tree/missing/hooks" -c '
import os, sys
os.mkdir(sys.argv[1])
os.mkdir(sys.argv[1] + "/hooks")' "$T/tree/missing"
	exits 1 "making it fails"
	ok "while what is beside it is made" test -d tree/missing -a ! -e tree/missing/hooks
elif [ "$(id -u)" = 0 ]; then
	exits 125 "a deny of what is not there yet cannot be kept in a writable grant: refused"
else
	like "$err" "missing/hooks.* does not exist" "a deny of what is not there yet is refused, or said to be without effect"
fi

# A read-only grant that is writable.
cp granted/file granted/extra
for attempt in write append truncate open-truncate chmod utime setxattr mmap-write reopen-writable \
	rename unlink; do
	cp granted/file granted/target
	outside "$attempt" "$G/target"
	if [ "$code" = 0 ]; then pass "$attempt: works outside"; else skip "this host says $out" "$attempt: works outside"; fi
	cp granted/extra granted/target
	before=$(stat -c '%a %Y %s %i' granted/target; cat granted/target)
	inside --allow-read "$G" -- "$attempt" "$G/target"
	refused "$attempt: refused on a read-only grant"
	is "$(stat -c '%a %Y %s %i' granted/target; cat granted/target)" "$before" "$attempt: nothing changed"
	rm -f granted/target granted/target.new
done
twin "a new file in a read-only grant" --outside "$G/new-outside" --inside "$G/new-inside" --guest "$read_only" create
ok "is not there" test ! -e granted/new-inside
twin "a hard link into a writable grant" --outside "$G/file $T/twin" --inside "$G/file $T/other" \
	--want '^refused: (EPERM|EACCES|EXDEV|EROFS|ENOSYS)$' \
	--guest "--allow-read $G --allow-write $T/other" hard-link
is "$(cat twin/planted-hard-link)" "overwrittentext" "the twin outside did write through it"
rm -f twin/planted-hard-link
echo "the public text" >granted/file
twin "a hard link to a file granted read-only beside" --outside "$G/file $T/twin" --inside "$G/file $T/other" \
	--want '^refused: (EPERM|EACCES|EXDEV|EROFS|ENOSYS)$' \
	--guest "--allow-read $G/file --allow-write $T/other" hard-link
rm -f twin/planted-hard-link
echo "the public text" >granted/file
inside --allow-read "$G" --allow-write "$T/other" -- exchange "$G/file" "$T/other"
refused "exchanging a file granted read-only for one of ours" '^refused: (EPERM|EACCES|EXDEV|EROFS|ENOSYS|EINVAL)$'
is "$(cat granted/file)" "the public text" "the read-only file is what it was"

# A read-only grant below a writable one: the narrower rule is the wish of whoever wrote both, but access adds up
# (deny > allow): it is the deny that takes away.
inside --allow-write "$G" --deny-write "$G/file" -- append "$G/file"
refused "a deny of writing inside a writable grant"

# sqlite and memory maps.
"$python" - "$G/db.sqlite" "$T/other/db.sqlite" <<'END'
import sqlite3, sys
for path in sys.argv[1:]:
	db = sqlite3.connect(path)
	db.execute("create table t (x)")
	db.execute("insert into t values ('the SECRET text')")
	db.commit()
END
sum=$(sha256sum <granted/db.sqlite)
run "$PYISOLATE" run --allow-read "$G" -c '
import sqlite3, sys
try:
    db = sqlite3.connect(sys.argv[1])
    print(db.execute("select * from t").fetchall())
    db.execute("insert into t values (1)")
    db.commit()
    print("written")
except sqlite3.OperationalError as e:
    print("refused:", e)' "$G/db.sqlite"
like "$out" 'SECRET' "sqlite reads a granted database"
like "$out" '^refused: (attempt to write a readonly|unable to open)' "sqlite cannot write a database granted read-only"
is "$(sha256sum <granted/db.sqlite)" "$sum" "which is what it was"
outside sqlite-attach "$T/other/db.sqlite"
like "$out" SECRET "sqlite attach: works outside"
run "$PYISOLATE" run --allow-read "$G" "$attack" sqlite-attach "$T/other/db.sqlite"
isnt "$code" 0 "sqlite attach: refused inside"
lacks "$out$err" SECRET "and the content was not seen"

# Other views of the file system.
twin "/proc/*/root" --want '^refused: (ENOENT|EACCES|EPERM)$' --args "$S" proc-root
twin "/proc/self/mem" --want '^refused: (EACCES|EPERM|EROFS|ENOENT)$' proc-mem
sleep 300 &
victim=$!
at_exit "kill $victim"
twin "/proc/1" --want '^refused: (EACCES|EPERM|ENOENT|ESRCH)$' --outside "$victim" --inside 1 proc-one
twin "/proc and /sys of the machine" --want '^refused: (ENOENT|EACCES|EPERM)$' proc-sys
inside -- proc-root /etc/shadow
refused "/etc/shadow through /proc" '^refused: (ENOENT|EACCES|EPERM)$'
run "$PYISOLATE" run -c 'import os; print(sorted(p for p in os.listdir("/proc") if p.isdigit()))'
unlike "$out" "'[0-9]{4,}'" "/proc shows no process of the host"

# A directory that moves away under the guest must not be a way out.
moved() {	# RUNNER...: prints what was read
	rm -rf moving safe
	mkdir -p moving/inner safe
	echo "the SECRET text" >safe/secret
	chmod -R a+rwX moving
	"$@" >moved.out 2>&1 &
	moving=$!
	wait_for 10 test -e moving/inner/ready && mv moving/inner safe/inner
	wait $moving
	cat moved.out
}
out=$(moved "$python" -I "$attack" moved-directory "$T/moving" secret)
contains "$out" "SECRET" "a directory moved away: its parent can be read outside"
out=$(moved "$PYISOLATE" run --timeout 20s --allow-write "$T/moving" "$attack" moved-directory "$T/moving" secret)
like "$out" '^refused: (ENOENT|EACCES|EPERM)' "a directory moved away: not from inside"

done_testing
