#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Programs that were not granted: the loader, copies, written code, our own binary.
. "${0%/*}/../cli/lib.sh"
. "$TESTS/escape/twin.sh"

mkdir out in
chmod 0777 in
W="--allow-write $T/in"
true=$(readlink -f /bin/true)

twin "a program of the host" --want '^refused: (EPERM|EACCES|ENOENT|ENOSYS)$' --args "$true" run-program
twin "a program that may be read" --args "$true" --guest "--allow-read $true" run-program
inside --allow-read "$true" -- read "$true"
succeeded "which really may be read"
twin "a copied program" --outside "$T/out $true" --inside "$T/in $true" --guest "$W --allow-read $true" copied-binary
rm -f in/* out/*
twin "a copied program in /tmp" --outside "/tmp $true" --inside "/tmp $true" --guest "--allow-read $true" copied-binary
rm -f /tmp/planted-program
twin "our own binary" --want '^refused: (EPERM|EACCES|ENOENT|ENOSYS)$' \
	--args "/proc/self/exe -c pass" run-program
twin "machine code in a file" --outside "$T/out" --inside "$T/in" --guest "$W" map-written-code
rm -f in/* out/*
twin "machine code in a file of /tmp" --args /tmp map-written-code
rm -f /tmp/planted-code

# With one program granted, others stay out of reach, by the loader too.
loader=$(ls /lib64/ld-linux-x86-64.so.2 2>/dev/null)
if [ -n "$loader" ]; then
	W2="$W --allow-read $true --allow-read /lib --allow-read /lib64 --allow-read /usr/lib --allow-run /usr/bin/id"
	twin "the loader, where it may only be read" --outside "$T/out $true" --inside "$T/in $true" \
		--guest "$W2" ld-linux
	rm -f in/* out/*
	twin "a copied program, where another may run" --outside "$T/out $true" --inside "$T/in $true" \
		--guest "$W2" copied-binary
	rm -f in/* out/*
	# 127 is the loader's own way to say that it may not map the program.
	twin "the loader, where it may run" --want '^refused: (EPERM|EACCES|EKEYEXPIRED|status 12[67])' \
		--outside "$T/out $true" --inside "$T/in $true" --guest "$W2 --allow-run $(readlink -f "$loader")" ld-linux
	rm -f in/* out/*
	# As a shell command would do it: -- CMD has the host's runtime directories, and no more.
	run "$PYISOLATE" run --allow-write "$T/in" -- /bin/sh -c \
		"cp $true $T/in/p && chmod 755 $T/in/p && $T/in/p"
	isnt "$code" 0 "a shell cannot run its copy of a program"
	run "$PYISOLATE" run --allow-write "$T/in" -- /bin/sh -c "$loader $T/in/p"
	isnt "$code" 0 "nor have the loader run it"
	run "$PYISOLATE" run --allow-write "$T/in" -- /bin/sh -c "cp $true /tmp/p && chmod 755 /tmp/p && /tmp/p"
	isnt "$code" 0 "nor from /tmp"
	run sh -c "cp $true $T/out/p && chmod 755 $T/out/p && $loader $T/out/p"
	exits 0 "all of which works outside"
else
	skip "no dynamic loader here" "the loader"
fi

# Our own binary's descriptor: a write to it would own the next invocation, which may be root's.
cp "$PYISOLATE" "$T/mine"
chmod 0777 "$T/mine"
sum=$(sha256sum <mine)
run "$T/mine" run "$attack" own-binary
refused "our own binary cannot be written through /proc/self/exe" '^refused: (EACCES|EPERM|EROFS|ENOENT|ETXTBSY)$'
run "$T/mine" run --allow-run /bin/sh --allow-run /usr/bin/sleep "$attack" own-binary
isnt "$code" 0 "nor when another program takes our place"
run "$T/mine" run "$attack" own-binary-copy "$T/mine"
refused "nor by its path" "$absent"
is "$(sha256sum <mine)" "$sum" "the binary is what it was"
cp "$python" "$T/python-copy" 2>/dev/null
run "$T/python-copy" -I "$attack" own-binary
if [ "$code" = 0 ]; then pass "the twin outside writes to its own binary"; else
	skip "this host says $out$(printf '%s\n' "$err" | tail -n 1)" "the twin outside writes to its own binary"
fi

done_testing
