#!/bin/sh
# SPDX-License-Identifier: MIT
#
# `ceiling:` in a policy: what it may hold, what must lie in it, who shows it, what is built for it.
. "${0%/*}/lib.sh"
mkdir -p srv/data srv/private
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
{ base; echo 'ceiling: {fs: [{deny: /srv}]}'; } >bad.yml
refused "a deny" "bad.yml:3: unknown key 'deny' in ceiling: fs"
{ base; echo 'ceiling: {fs: [{read: "/srv/*.txt"}]}'; } >bad.yml
refused "a pattern" "bad.yml:3: ceiling: '/srv/*.txt' is a pattern: a ceiling names files and directories"
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
  net:
    - connect: 10.0.0.0/8:400-500
    - bind: udp://127.0.0.1:53
X
pyi policy check good.yml
exits 0 "one that holds the policy"
pyi policy show good.yml
contains "$out" "ceiling:
  fs:
    - write: \"$T/srv\"  # good.yml:11
    - exec: \"/bin/sh\"  # good.yml:13
  net:
    - connect: \"10.0.0.0/8:400-500\"  # good.yml:15
    - bind: \"udp://127.0.0.1:53\"  # good.yml:16" "show prints it"
printf '%s\n' "$out" >again.yml
digest=$(printf '%s\n' "$out" | head -n 1)
pyi policy show again.yml
is "$(printf '%s\n' "$out" | head -n 1)" "$digest" "what it prints is the same policy again"
pyi policy why good.yml write "$T/srv/data/f"
exits 1 "what the ceiling alone allows is denied"
contains "$out" "the ceiling lets a reload grant it (good.yml:11)" "and why says that it could be granted"
pyi policy why good.yml connect 10.200.0.1:444
contains "$out" "the ceiling lets a reload grant it (good.yml:15)" "so with addresses"
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
