#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Images with modules: the usual ones, and those of --preload. A module that is in the image is imported at once, and is
# no more there than without before it is imported.
. "${0%/*}/lib.sh"
. "${0%/*}/image-lib.sh"

need native # it builds many images, which takes long without a processor of its own
own_images
pyi image build
exits 0 "image build"
pyi image show
like "$out" '^  modules: .*\bjson\b' "the usual modules are shown"
unlike "$out" '\bpydoc\b' "pydoc is none of them"
pyi image build -q --preload pydoc --preload xmlrpc.server --preload pydoc
is "$code/$err" 0/ "image build --preload"
pyi image show
is "$(printf '%s\n' "$out" | grep -c ': valid')" 2 "is shown beside the usual one"
like "$out" '^  modules: .*\bpydoc\b.*\bxmlrpc.server\b' "with its modules"
cat >import.py <<'END'
import sys, time
there = "pydoc" in sys.modules or "xmlrpc.server" in sys.modules
start = time.perf_counter()
import pydoc, xmlrpc.server
took = int((time.perf_counter() - start) * 1e6)
print(there, pydoc.locate("json").__name__, xmlrpc.server.SimpleXMLRPCServer.__name__, took)
END
# least OPTION...: the shortest time of five runs, in $took; all of them right and with the start $1.
least() {
	want=$1
	shift
	took=999999999
	for _ in 1 2 3 4 5; do
		run "$PYISOLATE" run --result r.json "$@" import.py
		case $code/$(member r.json image)/$out in
		"0/$want/False json SimpleXMLRPCServer "*) ;;
		*)
			fail "imports with $*"
			diag "$code $(member r.json image) $out $err"
			;;
		esac
		[ "${out##* }" -ge "$took" ] || took=${out##* }
	done
}
least true --preload pydoc --preload xmlrpc.server
with=$took
least true
without=$took
least false --no-image
normal=$took
diag "imports take $with us from such an image, $without us from the usual one, $normal us without"
ok "imports from it take less than a third of the time" test $((with * 3)) -lt "$normal"
ok "and less than from the usual one" test "$with" -lt "$without"
start 'print(1)' --preload graphlib
is "$code/$out/$image" 0/1/false "a set of modules that has no image yet starts normally"
three() { [ "$(n_images)" = 3 ]; }
ok "and gets one" wait_for 120 three
start 'import graphlib; print(graphlib.__name__)' --preload graphlib
is "$code/$out/$image" 0/graphlib/true "that the next run starts from"
start 'print(1)' --preload xmlrpc.server --preload pydoc
is "$code/$image" 0/false "another order is another set"
for name in nosuch os.nosuch ../x "" "json decoder" numpy; do
	pyi run --preload "$name" -c 'print("ran")'
	is "$code/$out" 2/ "--preload '$name' is refused"
done
contains "$err" "the binary has no such module" "and said why"
pyi image build --preload nosuch
exits 2 "by image build, too"
pyi run --no-image --preload json -c 'print("ran")'
is "$code/$out" 0/ran "--no-image wins over --preload"
# A list of allowed imports holds for what is ready as for anything else.
printf 'version: 1\nimports: [math]\n' >p.yml
start 'import math
try:
    import pydoc
except ImportError as e:
    print(e)' --policy "$T/p.yml" --preload pydoc --preload xmlrpc.server
contains "$out" "import of 'pydoc' is not allowed" "the policy's imports are respected"
is "$image" true "by a guest of the image"
done_testing
