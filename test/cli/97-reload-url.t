#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Reload by URL: from a real server with TLS, and from one that does all that servers do wrong.
. "${0%/*}/lib.sh"
. "$TESTS/cli/named.sh"
private_state
p=u$$-
named "$p"
unset SSL_CERT_FILE
(umask 077; echo 'the token of this test' >tok; echo 'another token, no less long' >other)

reload() { pyi reload "${p}a" "$@" --token-file tok; }

# ---- what is refused before anything is asked
refused() { # CODE URL TEXT NAME
	reload "$2" --timeout 60
	exits "$1" "$4"
	contains "$err" "$3" "is refused in words"
	is "$(printf '%s\n' "$err" | wc -l)" 1 "in one line"
}
refused 125 https://me:secret@localhost/p.yml "a user name or password is not taken" "a URL with a password"
lacks "$err" secret "which is not printed"
refused 125 ftp://localhost/p.yml "begins with https://" "another scheme"
refused 125 "https://localhost/p q.yml" "has a character that URLs have not" "a URL with a space"
refused 125 https://localhost:0/p.yml "port" "no port"
pyi reload "${p}a" here.yml --token-file tok --retries 1
exits 2 "--retries without a URL"
contains "$err" "--retries goes with a policy's URL" "is wrong usage"
pyi reload "${p}a" https://localhost/ --token-file tok --timeout 0
exits 2 "a timeout of nothing"
pyi reload "${p}a" https://localhost/ --token-file tok --retries 21
exits 2 "too many retries"
pyi reload "${p}a" https://localhost/
exits 125 "without a token"
contains "$err" "PolicyAuthError: a reload needs the token" "nothing is fetched"
if ! has root; then
	refused 125 "https://localhost/p.yml?key=secret" "fetch it yourself (curl -fsS -o policy.yml URL), then reload the file" "an ordinary user"
	lacks "$err" secret "a query is not shown"
	done_testing
	exit
fi
if ! has bpf-cgroup; then
	refused 125 https://127.0.0.1:9/p.yml "the fetcher's sandbox: " "a host without rules of the network"
	skip_all "$why"
fi
refused 125 http://192.0.2.1/p.yml "http:// to another host is not encrypted: 192.0.2.1 is not this host" "http to elsewhere"
SSL_CERT_FILE=$T/none.pem refused 125 https://127.0.0.1:9/ "cannot open '$T/none.pem', which SSL_CERT_FILE names: No such file" "a store that is not there"
echo none >none.pem
SSL_CERT_FILE=$T/none.pem refused 125 https://127.0.0.1:9/ "the certificates that are trusted: it holds no certificate" "an empty store"
rm none.pem

need python3 openssl cgroup helper:bpfrows

# ---- an authority, a certificate, a server that has it, and one without TLS
key() { openssl req "$@" -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes 2>>openssl.log; }
key -x509 -keyout ca.key -out ca.pem -days 2 -subj /CN=tests -addext keyUsage=critical,keyCertSign,cRLSign
key -keyout key.pem -out request.pem -subj /CN=localhost
printf 'subjectAltName=DNS:localhost\nauthorityKeyIdentifier=keyid\n' >ext
openssl x509 -req -in request.pem -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile ext -out cert.pem 2>>openssl.log
[ -s cert.pem ] || skip_all "openssl makes no certificate: $(tail -n 1 openssl.log)"

mkdir www
policy() { # FILE ADDRESS
	printf 'version: 1\nextends: defaults\nnet:\n  - connect: %s\n' "$2" >"$1"
}
policy www/a.yml 127.0.0.1:1000
policy www/b.yml 127.0.0.1:2000
: >www/requests
mkfifo hold1 hold2
python3 "$TESTS/cli/url-server.py" www cert.pem key.pem <hold1 >port1 &
tls_pid=$!
exec 8>hold1
python3 "$TESTS/cli/url-server.py" www <hold2 >port2 &
plain_pid=$!
exec 9>hold2
at_exit "kill $tls_pid $plain_pid 2>/dev/null"
wait_for 20 test -s port1
wait_for 20 test -s port2
https=https://localhost:$(cat port1)
http=http://127.0.0.1:$(cat port2)
requests() { wc -l <www/requests; }
last() { tail -n 1 www/requests; }
generation() { state "$1"; member r.json generation; }

policy start.yml 127.0.0.1:3000
pyi spawn "${p}a" -p start.yml --token-file tok -c "$LOOP"
exits 0 "spawn" || diag "$err"

# ---- certificates
reload "$https/a.yml" --retries 2
exits 125 "a certificate that nobody here has signed"
contains "$err" "cannot fetch '$https/a.yml': its certificate is not accepted: " "is not accepted"
lacks "$err" attempts "and there is no second attempt"
is "$(requests)" 0 "and the server is asked nothing"
SSL_CERT_FILE=$T/ca.pem
export SSL_CERT_FILE
reload "https://127.0.0.1:$(cat port1)/a.yml"
exits 125 "a certificate for another name"
contains "$err" "certificate is not valid for '127.0.0.1'" "is not accepted"
reload "https://127.0.0.1:$(cat port2)/a.yml" --retries 0
exits 125 "https to a server without"
like "$err" "no TLS with that server|has cut the connection" "is told"
is "$(generation "${p}a")" 1 "nothing has changed"

# ---- it comes into force
reload "$https/a.yml?key=secret" --dry-run
exits 0 "--dry-run"
contains "$out" "+ net: connect 127.0.0.1:1000  ($https/a.yml?...:4)" "shows the rules with URL and line"
reload "$https/a.yml?key=secret"
exits 0 "reload by URL" || diag "$err"
like "$out" "^${p}a: generation 2, policy [0-9a-f]{12} -> [0-9a-f]{12}\$" "is a reload"
is "$err" "" "and says no more"
state "${p}a"
is "$(member r.json policy_name)" "$https/a.yml?..." "stats has the URL, its query not"
is "$(last)" "GET /a.yml?key=secret -" "the server gets all of it; what --dry-run fetched was not kept"
is "$(stat -c %a "$PYISOLATE_RUN_DIR"/fetched "$PYISOLATE_RUN_DIR"/fetched/* | tr '\n' ' ')" "700 600 " "what was fetched is kept, for nobody else to read"
lacks "$(ls "$PYISOLATE_RUN_DIR"/fetched)" secret "under another name"
reload "$https/a.yml?key=secret"
exits 0 "again"
is "$out" "${p}a: generation 2, unchanged: the server has the policy that is in force" "the server says 304, and that is said"
like "$(last)" '^GET /a.yml\?key=secret "[0-9a-f]{16}"$' "it was asked with the ETag"
# Others may have another policy all the same.
policy other.yml 127.0.0.1:4000
pyi spawn "${p}b" -p other.yml --token-file tok -c "$LOOP"
pyi reload --all "$https/a.yml?key=secret" --token-file tok
exits 0 "--all"
is "$(printf '%s\n' "$out" | cut -d, -f1 | sort | tr '\n' ';')" "${p}a: generation 2;${p}b: generation 2;" "gives it to who has not got it"
like "$(last)" '"$' "from what was kept"
pyi stop "${p}b"
reload other.yml
reload "$https/a.yml?key=secret"
is "$(generation "${p}a")" 4 "and to who had another one meanwhile"
policy www/a.yml 127.0.0.1:1001
reload "$https/a.yml?key=secret" --dry-run
contains "$out" "+ net: connect 127.0.0.1:1001" "a new version comes"
for file in "$PYISOLATE_RUN_DIR"/fetched/*; do echo more >>"$file"; done
reload "$https/a.yml?key=secret"
is "$(generation "${p}a"):$(last)" "5:GET /a.yml?key=secret -" "what is damaged is not used"
pyi reload "${p}a" "$https/b.yml" --token-file other
exits 125 "a wrong token"
contains "$err" "PolicyAuthError" "is one"
is "$(find "$PYISOLATE_RUN_DIR/fetched" -type f | wc -l)" 1 "and nothing is kept of it"
sleep 0.2
reload "$http/b.yml"
exits 0 "http on loopback"
reload "$https/chunks"
exits 0 "in chunks"
reload "$https/to?/b.yml"
exits 0 "a redirect on the same server"
reload "$https/to?a/../b.yml"
exits 0 "and a relative one"
# Names have more than one address; the first that answers is taken. (This mount namespace is the test's own.)
{
	cat /etc/hosts
	printf '%s\n' "127.0.0.9 several" "127.0.0.1 several" "127.0.0.1 mixed" "192.0.2.1 mixed"
} >hosts
mount --bind hosts /etc/hosts
reload "http://several:$(cat port2)/a.yml"
exits 0 "a name with two addresses, where one does not answer" || diag "$err"
reload "http://mixed:$(cat port2)/a.yml"
exits 125 "http to a name that is this host and another one"
contains "$err" "is not encrypted: 192.0.2.1 is not this host" "is refused"
umount /etc/hosts
before=$(generation "${p}a")

# ---- policies that are none
same() { is "$(generation "${p}a")/$state" "$before/running" "and nothing has changed"; }
broken() { # TEXT NAME, with www/bad.yml
	reload "$https/bad.yml"
	exits 125 "$2"
	contains "$err" "pyisolate: $https/bad.yml$1" "is refused with URL, line and key"
	same
}
printf 'version: 1\nnte: []\n' >www/bad.yml
broken ":2: unknown key 'nte'" "a broken policy"
printf 'version: 1\nextends: a.yml\n' >www/bad.yml
broken ":2: 'extends: a.yml' names a file: a policy from a URL extends templates only" "a parent beside it"
printf 'version: 1\nextends: /etc/parent.yml\n' >www/bad.yml
broken ":2: 'extends: /etc/parent.yml' names a file" "a parent on this host"
printf 'version: 1\nfs:\n  - read: data\n' >www/bad.yml
broken ":3: " "a relative path"
: >www/bad.yml
broken ": empty" "an empty one"
reload "$https/binary"
exits 125 "a binary one"
contains "$err" "NUL byte: this is not a text file" "is refused"
same

# ---- servers that fail
fails() { # REQUESTS PATH TEXT NAME [OPTION...]
	url=$https/$2 want=$1 text=$3 name=$4
	shift 4
	n=$(requests)
	reload "$url" --retries 2 "$@"
	exits 125 "$name"
	contains "$err" "cannot fetch '${url%%\?*}" "is told with its URL"
	contains "$err" "$text" "and why"
	is "$(printf '%s\n' "$err" | wc -l)" 1 "in one line"
	is "$(($(requests) - n))" "$want" "after so many requests"
	same
}
fails 3 short "the answer is not whole: 11 of 100 bytes came (3 attempts)" "a short body"
fails 3 "chunks?x" "the answer is not whole: the connection was cut within the body (3 attempts)" "a body that is cut"
fails 1 endless "does not say how long the policy is" "a body without a length"
fails 3 stall "no whole answer in time (3 attempts): --timeout gives it more" "a server that stalls" --timeout 700ms
fails 3 drip "no whole answer in time (3 attempts)" "a server that sends a byte now and then" --timeout 0.7
fails 3 "status?500" "the server says 500 Internal Server Error (3 attempts)" "500"
fails 1 "status?404" "the server says 404 Not Found: see" "404"
fails 1 "status?429" "the server says 429" "429"
fails 1 "status?304" "the server says 304" "304 that was not asked for"
fails 3 cut "the server has cut the connection (3 attempts)" "a connection that is cut"
fails 6 loop "it goes round in more than 5 redirects" "a redirect loop"
fails 1 "to?https://example.com/p.yml" "it redirects elsewhere, which is not followed: https://example.com: give" "a redirect to another host"
fails 1 "to?$http/a.yml" "elsewhere, which is not followed: $http: give" "a redirect from https to http"
fails 1 "to?https://localhost:1/a.yml" "elsewhere, which is not followed: https://localhost:1: give" "a redirect to another port"
fails 1 "to?https://me:secret@localhost/" "elsewhere, which is not followed: https://localhost: give" "a redirect with a password"
fails 1 large "larger than a policy may be: 2097152 bytes: 1 MiB is the limit" "2 MiB"
fails 1 large-chunks "larger than a policy may be: more than 1 MiB" "2 MiB in chunks"
fails 1 packed "packed, which was not asked for: gzip" "a packed body"
fails 1 lengths "no proper answer: it says in two ways how long it is" "two lengths"
fails 1 "lengths?gzip" "no proper answer: Transfer-Encoding gzip" "a length, and a coding that could say another"
fails 1 nonsense "no proper answer: BadStatusLine" "no HTTP"
fails 1 headers "no proper answer: " "300 headers"
fails 1 evil "the server says 403 ?]0;evil? no" "a reason with terminal sequences"
n=$(requests)
reload "$https/twice" --retries 3
exits 0 "500, again 500, then a policy"
is "$(($(requests) - n))" 3 "is three requests"
before=$(generation "${p}a")

if has helper:pyisolate-faults; then
	for point in 985:24 986:24 987:11; do
		run env PYISOLATE_FAULT=$point "$HELPERS/pyisolate-faults" reload "${p}a" "$https/a.yml" --token-file tok
		exits 125 "fault point $point"
		like "$err" "^pyisolate: cannot fetch '$https/a.yml': .*cannot (make|start) a [a-z ]*: [A-Z]" "is told"
		is "$(printf '%s\n' "$err" | wc -l)" 1 "in one line"
	done
fi

# ---- the sandbox: the address and nothing else, and it goes with the command
"$PYISOLATE" reload "${p}a" "$https/stall" --token-file tok --timeout 60 --retries 0 2>/dev/null &
command=$!
descend() {
	tr ' ' '\n' 2>/dev/null <"/proc/$1/task/$1/children" | while read -r d_pid; do
		echo "$d_pid"
		descend "$d_pid"
	done
}
is_asked() { [ "$(last)" = "GET /stall -" ] && [ "$(descend "$command" | wc -l)" -ge 3 ]; }
ok "a fetch that waits" wait_for 20 is_asked
guest=$(descend "$command" | tail -n 1)
group=$(sed -n 's/^0:://p' "/proc/$guest/cgroup")
for mount in /sys/fs/cgroup/unified /sys/fs/cgroup; do [ ! -d "$mount$group" ] || break; done
like "$group" '^/pyisolate.*/run-' "is in a sandbox of its own"
is "$("$HELPERS/bpfrows" "$(stat -c %i "$mount$group")")" "1 rows of 1 generations" "which may connect to one address and port"
is "$(sed -n 's/^CapEff:\t*//p; s/^NoNewPrivs:\t*//p; s/^Seccomp:\t*//p' "/proc/$guest/status" | tr '\n' ' ')" "0000000000000000 1 2 " "without privileges"
is "$(cd "/proc/$guest/root" && find . -xdev -type f ! -path './dev/*' ! -path './proc/*' | sort | tr '\n' ' ')" "./etc/group ./etc/hosts ./etc/passwd " "and without a file of the host, but three made for it"
lacks "$(tr '\000' ' ' <"/proc/$guest/environ")" SSL_CERT_FILE "its environment is its own"
left() { for l_pid in $tree; do is_gone "$l_pid" || return 0; done; [ -e "$mount$group" ]; }
is_clear() { ! left; }
tree=$(descend "$command")
kill -9 "$command"
ok "kill -9 of the command: nothing of it is left" wait_for 10 is_clear
wait "$command" 2>/dev/null
"$PYISOLATE" reload "${p}a" "$https/drip" --token-file tok --timeout 60 --retries 0 2>/dev/null &
command=$!
is_asked() { [ "$(last)" = "GET /drip -" ] && [ "$(descend "$command" | wc -l)" -ge 3 ]; }
ok "a fetch that goes on and on" wait_for 20 is_asked
tree=$(descend "$command")
group=$(sed -n 's/^0:://p' "/proc/$(echo "$tree" | tail -n 1)/cgroup")
kill "$command"
ok "SIGTERM: the same" wait_for 10 is_clear
wait "$command" 2>/dev/null
is "$(generation "${p}a")/$state" "$before/running" "and nothing has changed"

# ---- the server is gone
exec 8>&- 9>&-
wait $tls_pid $plain_pid
start=$(date +%s%N)
reload "$https/a.yml" --retries 2
took=$((($(date +%s%N) - start) / 1000000))
exits 125 "no server"
contains "$err" "no connection: Connection refused (3 attempts): see that the server runs" "is told"
ok "after delays that grow: $took ms" test $took -ge 750
is "$(generation "${p}a")/$state" "$before/running" "and nothing has changed"
reload http://192.0.2.1/p.yml --insecure-http --timeout 300ms --retries 0
exits 125 "--insecure-http"
like "$err" "no connection: |no whole answer in time" "does connect"
pyi stop "${p}a"
is "$(ls "$PYISOLATE_RUN_DIR/policy")" "" "no policy's text is left behind"
done_testing
