#!/bin/sh
# SPDX-License-Identifier: MIT
#
# `ceiling:` in a policy: what it may hold, what must lie in it, who shows it, what is built for it.
. "${0%/*}/lib.sh"
mkdir -p srv/data srv/private srv/bin
echo inside >srv/data/f
base() { printf 'version: 1\nextends: defaults\n'; }
refused() { # NAME TEXT, with bad.yml
	pyi policy check bad.yml
	exits 125 "$1"
	contains "$err" "$2" "is said with its place"
}
{ base; echo 'ceiling: []'; } >bad.yml
refused "a list" "bad.yml:3: 'ceiling' needs a map of lists ('{fs: [{read: /srv}]}'), this is a list"
{ base; echo 'ceiling: {fss: []}'; } >bad.yml
refused "another section" "bad.yml:3: unknown key 'fss' in ceiling, did you mean 'fs'?"
{ base; echo 'ceiling: {fs: [{warn: /srv}]}'; } >bad.yml
refused "what is neither granted nor denied" "bad.yml:3: unknown key 'warn' in ceiling: fs"
{ base; echo 'ceiling: {fs: [{read: /srv}, {deny: /srv}]}'; } >bad.yml
refused "both of one path" "bad.yml:3: '/srv' is both allowed (bad.yml:3) and denied"
{ base; echo 'ceiling: {limits: {memorry: 1GiB}}'; } >bad.yml
refused "another limit" "bad.yml:3: unknown key 'memorry' in limits, did you mean 'memory'?"
{ base; echo 'ceiling: {limits: {numa: 0}}'; } >bad.yml
refused "a place" "bad.yml:3: ceiling: numa is no quantity"
{ base; echo 'ceiling: {net: [{connect: "*"}]}'; } >bad.yml
refused "a broken address" "bad.yml:3: "
{ base; printf 'fs:\n  - read: /srv/data\n  - write: /srv/data/out\nceiling:\n  fs:\n    - read: /srv\n'; } >bad.yml
refused "writing where it lets read" "bad.yml:5: fs: 'write /srv/data/out' is outside of the policy's own 'ceiling:'"
{ base; printf 'fs:\n  - read: /srv-data\nceiling: {fs: [{read: /srv}]}\n'; } >bad.yml
refused "a neighbour" "bad.yml:4: fs: 'read /srv-data' is outside"
{ base; printf 'exec: [{allow: /usr/bin/git}]\nceiling: {fs: [{read: /usr}]}\n'; } >bad.yml
refused "a program" "bad.yml:3: fs: 'exec /usr/bin/git' is outside"
{ base; printf 'net:\n  - connect: 10.0.0.0/8:443\nceiling: {net: [{connect: "10.0.0.0/16:443"}]}\n'; } >bad.yml
refused "a wider prefix" "bad.yml:4: net: 'connect 10.0.0.0/8:443' is outside"
for range in 442-443 443-444; do
	{ base; printf 'net:\n  - connect: 10.0.0.1:%s\nceiling: {net: [{connect: "10.0.0.0/16:443"}]}\n' $range; } >bad.yml
	refused "ports $range" "bad.yml:4: net: 'connect 10.0.0.1:$range' is outside"
done
{ base; printf 'net:\n  - bind: 10.0.0.1:443\nceiling: {net: [{connect: "10.0.0.0/16:443"}]}\n'; } >bad.yml
refused "another use" "bad.yml:4: net: 'bind 10.0.0.1:443'"
{ base; printf 'net:\n  - connect: udp://10.0.0.1:443\nceiling: {net: [{connect: "10.0.0.0/16:443"}]}\n'; } >bad.yml
refused "another protocol" "bad.yml:4: net: 'connect udp://"

# ---- patterns, denies and limits
{ base; printf 'fs:\n  - read: "/srv/*"\nceiling: {fs: [{read: "/srv/*.txt"}]}\n'; } >bad.yml
refused "a wider pattern" "bad.yml:4: fs: 'read /srv/*' is outside of the policy's own 'ceiling:', which must hold all that the policy grants: it lets read '/srv/a', which no rule of the ceiling does: the nearest is 'read /srv/*.txt' (bad.yml:5): narrow it, or widen the ceiling"
{ base; printf 'fs:\n  - read: "/srv/a*.txt"\n  - read: "/srv/[bc].txt"\nceiling: {fs: [{read: "/srv/*.txt"}]}\n'; } >ok.yml
pyi policy check ok.yml
exits 0 "narrower ones"
{ base; printf 'fs:\n  - read: /srv\nceiling:\n  fs:\n    - read: /srv\n    - deny: "/srv/**/*.key"\n'; } >bad.yml
refused "what it denies" "bad.yml:4: fs: 'read /srv' is outside of the policy's own 'ceiling:', which must hold all that the policy grants: it lets read '/srv/.key', which the ceiling denies by 'deny /srv/**/*.key' (bad.yml:8): add '- deny: /srv/**/*.key' to fs"
sed -i 's,^  - read: /srv$,&\n  - deny: "/srv/**/*.key",' bad.yml
pyi policy check bad.yml
exits 0 "what is said there does"
{ base; printf 'net:\n  - connect: 10.0.0.0/8:443\nceiling:\n  net:\n    - connect: 10.0.0.0/8:443\n    - deny: 10.9.0.0/16:*\n'; } >bad.yml
refused "an address that it denies" "bad.yml:4: net: 'connect 10.0.0.0/8:443' is outside of the policy's own 'ceiling:', which must hold all that the policy grants: it lets connect to 10.9.0.0:443, which the ceiling denies by 'deny 10.9.0.0/16:*' (bad.yml:8): add '- deny: 10.9.0.0/16:*' to net"
{ base; printf 'limits:\n  memory: 2GiB\nceiling:\n  limits:\n    memory: 1GiB\n    cpu: 50%%\n'; } >bad.yml
pyi policy check bad.yml
exits 125 "limits beyond it, and none at all"
contains "$err" "bad.yml:4: limits: 'memory: 2GiB' is outside of the policy's own 'ceiling:', which must hold all that the policy grants: the most is 1GiB (bad.yml:7): make it 'memory: 1GiB' in limits" "are said with their places"
contains "$err" "bad.yml: limits: no 'cpu' is outside of the policy's own 'ceiling:', which must hold all that the policy grants: the most is 50% (bad.yml:8): add 'cpu: 50%' to limits" "all of them"
{ base; printf 'limits: {memory: 1GiB, pids: 8}\nceiling: {limits: {memory: 1GiB, pids: 8}}\n'; } >ok.yml
pyi policy check ok.yml
exits 0 "as much as it says"
pyi run -p ok.yml --memory 2GiB -c pass
exits 125 "a flag beyond it"
contains "$err" "--memory: limits: 'memory: 2GiB' is outside of the policy's own 'ceiling:'" "is one, too"
pyi run -p ok.yml --memory 512MiB --dry-run -c pass
exits 0 "and within it"
{ base; printf 'net: [{connect: "localhost:80"}]\nceiling:\n  net:\n    - connect: "localhost:80"\n    - deny: "127.0.0.0/8:*"\n    - deny: "[::1]:*"\n'; } >name.yml
pyi policy check name.yml
exits 0 "a name is a name"
pyi run -p name.yml --dry-run -c pass
exits 125 "until it is looked up"
contains "$err" "name.yml:3: net: 'connect localhost:80' is outside of the policy's own 'ceiling:': it lets connect to " "then its address counts"
contains "$err" "(an address of localhost), which the ceiling denies by 'deny " "and what denies it is named"

cat >good.yml <<X
version: 1
extends: defaults
fs:
  - read: srv/data
  - deny: srv/data/no
  - read: srv/*.txt
net:
  - connect: 10.1.0.0/16:443
ceiling:
  fs:
    - write: srv
  exec:
    - allow: /bin/sh
    - deny: srv/bin
  net:
    - connect: 10.0.0.0/8:400-500
    - bind: udp://127.0.0.1:53
    - deny: 10.9.0.0/16:*
  limits:
    open_files: 64
limits: {open_files: 32}
X
pyi policy check good.yml
exits 0 "one that holds the policy"
pyi policy show good.yml
contains "$out" "ceiling:
  fs:
    - write: \"$T/srv\"  # good.yml:11
    - exec: \"/bin/sh\"  # good.yml:13
  exec:
    - deny: \"$T/srv/bin\"  # good.yml:14
  net:
    - connect: \"10.0.0.0/8:400-500\"  # good.yml:16
    - bind: \"udp://127.0.0.1:53\"  # good.yml:17
    - deny: \"10.9.0.0/16:*\"  # good.yml:18
  limits:
    open_files: 64  # good.yml:20" "show prints it"
printf '%s\n' "$out" >again.yml
digest=$(printf '%s\n' "$out" | head -n 1)
pyi policy show again.yml
is "$(printf '%s\n' "$out" | head -n 1)" "$digest" "what it prints is the same policy again"
pyi policy why good.yml write "$T/srv/data/f"
exits 1 "what the ceiling alone allows is denied"
contains "$out" "the ceiling lets a reload grant it (good.yml:11)" "and why says that it could be granted"
pyi policy why good.yml connect 10.200.0.1:444
contains "$out" "the ceiling lets a reload grant it (good.yml:16)" "so with addresses"
pyi policy why good.yml connect 10.9.0.1:444
contains "$out" "the ceiling does not let a reload grant it (good.yml:18)" "or that it could not"
pyi policy why good.yml write /etc/x
lacks "$out" "ceiling" "and of what is outside it says nothing"
printf 'version: 1\nextends: ./good.yml\nceiling:\n  fs:\n    - read: /usr\n' >child.yml
pyi policy show child.yml
contains "$out" 'read: "/usr"  # child.yml:5' "a child's list follows"
contains "$out" 'write: "'"$T"'/srv"  # ./good.yml:11' "that of its parent"

printf 'version: 1\nextends: defaults\nfs: [{read: srv/data}]\nceiling: {fs: [{read: srv}, {read: gone}]}\n' >gone.yml
pyi run -p gone.yml -c pass
exits 125 "a ceiling that is not there"
contains "$err" "gone.yml:4: '$T/gone' does not exist" "is refused"
touch srv/one.txt
printf 'version: 1\nextends: defaults\nfs: [{read: srv/data}]\nceiling:\n  fs:\n    - read: srv/data\n    - read: "srv/*.txt"\n    - deny: srv/private\n' >glob.yml
pyi run -p glob.yml --dry-run -c pass
contains "$out" "
ceiling
  $T/srv/data/  read
  $T/srv/one.txt  read
  $T/srv/  read (what matches)
" "of a pattern there are the files of now, and the place of those to come"
cat >run.yml <<X
version: 1
extends: defaults
fs:
  - read: srv/data
ceiling:
  fs:
    - write: srv
    - exec: /bin/sh
X
pyi run -p run.yml --dry-run -c pass
exits 0 "--dry-run"
contains "$out" "
  $T/srv/  read write" "shows what is kept for reloads"
contains "$out" "exec        as granted" "programs of the ceiling need the system call"
pyi run -p run.yml --dry-run --json -c pass
like "$out" '"ceiling":[{]"files":[[].*"path":"'"$T/srv"'".*"tcp":false' "in JSON as well"
pyi run -p run.yml -c "
print(open('$T/srv/data/f').read().strip())
import os
for path, mode in (('$T/srv/private', 'r'), ('$T/srv/data/f', 'w'), ('/bin/sh', 'rb')):
    try:
        os.listdir(path) if path.endswith('private') else open(path, mode)
        print('opened', path)
    except OSError: print('no')
try: os.execv('/bin/sh', ['sh', '-c', 'echo ran'])
except OSError: print('no')
"
is "$out" "inside
no
no
no
no" "nothing of the ceiling is granted by it"
done_testing
