#!/bin/sh
# SPDX-License-Identifier: MIT
#
# lint.sh: what a reader would object to and a machine can see. Runs inside the build root, in the checkout, with
# CPYTHON (the interpreter's directory) and GEN (generated headers) in the environment. One line for each finding,
# "file:line: message"; exit code 1 if there is any. `sh test/lint.sh CHECK...` runs only the named checks.
set -u

: "${GEN:=build/gen}" "${CPYTHON:=/nonexistent}"
build=$(dirname "$GEN")
found=$(mktemp /tmp/lint.XXXXXX)
trap 'rm -f "$found" "$found".*' EXIT
jobs=$(nproc)

# Words of ours, split so that this file does not find itself.
unfinished='TO''DO|FIX''ME|XX''X|HA''CK'
places='/wo''rk/|/ro''ot/\.|deb\.deb''ian\.org|security\.deb''ian\.org|registry\.np''mjs|py''pi\.org|proxy\.gol''ang|artif''actory'

sources() {	# every file we wrote
	find . -path ./.git -prune -o -path ./build -prune -o -path './test/*/corpus' -prune -o -type f -print | sed 's,^\./,,' | sort
}
c_files() { sources | grep -E '^(cmd|lib|test)/.*\.[ch]$'; }
all_c() { sources | grep -E '\.[ch]$'; }
scripts() {
	sources | while read -r f; do
		case $f in
		*.sh | *.t) echo "$f" ;;
		*.[ch1-8] | *.py | *.yml | *.md) ;;
		*) head -n 1 "$f" 2>/dev/null | grep -q '^#!.*[/ ]\(ba\)\{0,1\}sh' && echo "$f" ;;
		esac
	done
}
say() { sed "s/\$/${1:+ ($1)}/"; }

check_format() {
	all_c | xargs -P "$jobs" -n 8 clang-format-19 --dry-run -Werror 2>&1 |
		sed -n 's/^\([^ ]*:[0-9]*\):[0-9]*: error: code should be clang-formatted.*/\1: not formatted: make format/p' |
		awk -F: '{ n[$1]++; if (n[$1] <= 3) print; else more[$1]++ }
			END { for (f in more) print f ":0: and " more[f] " lines more not formatted" }'
	all_c | while read -r f; do
		expand "$f" | awk -v f="$f" 'length > 120 { print f ":" NR ": " length " columns, at most 100 (120 with a comment)" }'
	done
}

# A folder of lib/ includes only itself and what stands to its left; cmd stands on top of all.
check_includes() {
	sources | grep -E '^(lib|cmd)/.*\.[ch]$' | while read -r f; do
		awk -v f="$f" '
		BEGIN {
			n = split("base policy wire seal plan report kernel guest super", order, " ")
			for (i = 1; i <= n; i++) rank[order[i]] = i
			split(f, part, "/")
			here = part[1] == "cmd" ? "cmd" : part[2]
			mine = here == "cmd" ? n + 1 : rank[here]
			if (!mine) print f ":1: lib/" here " is not a folder of the design"
			split("yaml.h policy  cyaml/ policy  bpf/libbpf.h kernel  bpf/bpf.h kernel  Python.h guest  liburing.h super", w, " +")
			for (i = 1; w[i] != ""; i += 2) only[w[i]] = w[i + 1]
		}
		/^[ \t]*#[ \t]*include/ {
			match($0, /[<"][^>"]*/)
			h = substr($0, RSTART + 1, RLENGTH - 1)
			split(h, p, "/")
			if (index($0, "\"")) {
				if (p[1] == "cmd" && here != "cmd") print f ":" NR ": lib includes cmd: " h
				else if (rank[p[1]] > mine) print f ":" NR ": " here " must not include " h
				if (h ~ /\.skel\.h$/ && here != "kernel") print f ":" NR ": BPF skeletons belong to lib/kernel: " h
			} else {
				for (o in only)
					if (index(h, o) == 1 && here != only[o])
						print f ":" NR ": only lib/" only[o] " includes <" h ">"
				if (h ~ /^openssl\// && here != "seal" && h != "openssl/sha.h")
					print f ":" NR ": OpenSSL belongs to lib/seal (but for a SHA-256): <" h ">"
			}
		}' "$f"
	done
}

flags() {
	echo "-std=gnu17 -D_GNU_SOURCE -Ilib -Ibpf -I$GEN -I. -isystem $CPYTHON/include"
}

check_headers() {
	# shellcheck disable=SC2046
	sources | grep -E '^(lib|cmd|bpf)/.*\.h$' | grep -v '\.bpf\.h$' | xargs -P "$jobs" -I{} sh -c '
		out=$(echo "#include \"$1\"" | gcc $2 -Wall -Wextra -Wno-unused-parameter -fsyntax-only -x c - 2>&1) ||
			echo "$1:1: does not compile alone: $(echo "$out" | grep -m 1 error)"' sh {} "$(flags)"
	sources | grep -E '^(lib|cmd|bpf)/.*\.h$' | while read -r f; do
		grep -q '^#ifndef PYI_\|^#pragma once' "$f" || echo "$f:1: no include guard"
	done
}

# Comments and strings blanked, so that only code is left; line numbers stay.
code_of() {
	awk '{
		line = $0; out = ""
		while (line != "") {
			if (inside) {
				e = index(line, "*/")
				if (!e) { line = ""; break }
				line = substr(line, e + 2); inside = 0
			} else if (match(line, /\/\*|\/\/|"([^"\\]|\\.)*"/)) {
				t = substr(line, RSTART, 2)
				out = out substr(line, 1, RSTART - 1)
				if (t == "/*") { inside = 1; line = substr(line, RSTART + 2) }
				else if (t == "//") line = ""
				else { out = out "\"\""; line = substr(line, RSTART + RLENGTH) }
			} else { out = out line; line = "" }
		}
		print out
	}' "$1"
}

check_banned() {
	sources | grep -E '^(cmd|lib|bpf)/.*\.[ch]$' | while read -r f; do
		code_of "$f" | grep -nE '(^|[^A-Za-z0-9_])(gets|strcpy|stpcpy|strcat|strncat|sprintf|vsprintf|atoi|atol|atoll|atof|system|popen|strtok|tmpnam|tempnam|mktemp|alloca|rand|srand|setjmp|longjmp)[ \t]*\(' |
			sed "s,^\([0-9]*\):.*[^A-Za-z0-9_]\([a-z]*\)[ \t]*(.*,$f:\1: banned function," | sed 's/:[^:]*$/: banned function/'
		case $f in
		bpf/*) code_of "$f" | grep -n 'bpf_printk' | sed "s,^\([0-9]*\):.*,$f:\1: bpf_printk," ;;
		lib/base/log.* | cmd/* | lib/guest/*) ;;
		lib/*) code_of "$f" | grep -nE '(^|[^A-Za-z0-9_])(printf|puts|perror|exit|abort)[ \t]*\(' |
			sed "s,^\([0-9]*\):.*,$f:\1: a library prints nothing and does not exit," ;;
		esac
	done
}

check_words() {
	sources | grep -vE '\.(pem|der|bin)$' | xargs grep -InE "(^|[^A-Za-z])($unfinished)([^A-Za-z]|\$)" 2>/dev/null |
		grep -v '^test/.*XX''XXXX\|mktemp' | sed 's/^\([^:]*:[0-9]*\):.*/\1: unfinished work is named here/'
	sources | xargs grep -InE "$places" 2>/dev/null | sed 's/^\([^:]*:[0-9]*\):.*/\1: a path or host of one machine/'
	sources | xargs grep -InE '[ 	]$' 2>/dev/null | sed 's/^\([^:]*:[0-9]*\):.*/\1: blank at the end of the line/' |
		grep -v '^test/.*\(corpus\|golden\|expect\)\|\.md:'
}

check_shape() {
	sources | grep -E '\.([ch]|sh|t|py|mk|yml)$|Makefile|[.]ci/run' | grep -v '/corpus/\|/golden\|/bad/\|/data/\|^policy/' | while read -r f; do
		head -n 3 "$f" | grep -q 'SPDX-License-Identifier: ' || echo "$f:1: no SPDX line"
		case $f in
		bpf/*.bpf.c) head -n 1 "$f" | grep -q 'MIT OR GPL-2.0-only' || echo "$f:1: BPF programs are (MIT OR GPL-2.0-only)" ;;
		esac
	done
	sources | grep -E '\.([ch]|sh|t|py)$' | while read -r f; do
		n=$(wc -l <"$f")
		[ "$n" -lt 600 ] || echo "$f:$n: $n lines, fewer than 600 wanted: split it"
		[ -s "$f" ] && [ -n "$(tail -c 1 "$f")" ] && echo "$f:$n: no newline at the end"
	done
	sources | grep -E '\.([ch])$' | while read -r f; do
		# A function starts at a "{" in the first column and ends at the next "}" there.
		awk -v f="$f" '/^\{/ { s = NR } /^\}/ { if (s && NR - s > 100) print f ":" s ": a function of " NR - s " lines, at most 100"; s = 0 }' "$f"
	done
}

# clang's warnings and a short list of clang-tidy checks; what passed is remembered by the preprocessed text.
check_tidy() {
	mkdir -p "$build/lint"
	sources | grep -E '^(cmd|lib)/.*\.c$' | xargs -P "$jobs" -I{} sh -c '
		key=$build/lint/$(echo "$1" | tr / -).$({ cat .clang-tidy; gcc $2 -E "$1" 2>/dev/null; } | sha256sum | cut -c1-16)
		[ -e "$key" ] && exit 0
		out=$(clang-tidy-19 --quiet "$1" -- $2 -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
			-Wpointer-arith -Wwrite-strings -Wundef -Wvla -Wformat=2 -Wno-format-nonliteral -Wimplicit-fallthrough \
			-Wno-unused-parameter 2>/dev/null)
		if [ $? = 0 ]; then
			rm -f "$build/lint/$(echo "$1" | tr / -)".*
			: >"$key"
		else
			n=$(echo "$out" | grep -cE "^/.*(error|warning): ")
			echo "$out" | grep -E "^/.*(error|warning): " | sed "s,^$PWD/,,; s/: error: /: /" | head -n 20
			[ "$n" != 0 ] || echo "$1:1: clang-tidy failed"
		fi' sh {} "$(flags)"
}

check_cppcheck() {
	mkdir -p "$build/lint/cppcheck"
	cppcheck --quiet -j "$jobs" --cppcheck-build-dir="$build/lint/cppcheck" --enable=warning,portability --inline-suppr \
		--std=c11 --suppress=missingIncludeSystem --suppress=normalCheckLevelMaxBranches --suppress=unknownMacro \
		--suppress=nullPointerOutOfMemory --suppress=nullPointerArithmeticOutOfMemory \
		--suppress=uninitvar --suppress=syntaxError --suppress=preprocessorErrorDirective \
		-D_GNU_SOURCE -D__x86_64__ -Ilib -Ibpf --template='{file}:{line}: {message} [{id}]' cmd lib 2>&1
}

check_scripts() {
	# Not for a test's own file: where lib.sh is, what it sets, sh -c bodies in single quotes, functions called by name.
	scripts | xargs -P "$jobs" -n 4 shellcheck -f gcc -x -e SC1090,SC1091,SC2034,SC2154,SC2016,SC2317,SC2329 2>&1 |
		sed 's/^\([^ ]*:[0-9]*\):[0-9]*: [a-z]*: /\1: /'
	for f in lib/guest/*.py test/*/*.py; do
		[ -e "$f" ] || continue
		[ ! -x "$CPYTHON/python" ] ||
			PYTHONHOME=$CPYTHON PYTHONPATH=$CPYTHON/lib "$CPYTHON/python" -S -P -B -c 'import sys; compile(open(sys.argv[1]).read(), sys.argv[1], "exec")' "$f" 2>&1 |
			tail -n 1 | sed "s,^,$f:1: ,"
	done
}

check_manual() {
	for f in man/*.[1-8]; do
		[ -e "$f" ] || continue
		mandoc -T lint -W warning "$f" 2>&1 | sed 's/^mandoc: \([^:]*:[0-9]*\):[0-9]*: /\1: /'
	done
}

check_static() {
	bin=$build/pyisolate
	[ -e "$bin" ] || return 0
	if readelf -lW "$bin" | grep -qE '^ *(INTERP|DYNAMIC) '; then
		echo "$bin:0: not static: it has an INTERP or DYNAMIC segment"
	fi
	[ "$(readelf -hW "$bin" | awk '/Type:/ { print $2 }')" = EXEC ] || echo "$bin:0: not a non-PIE executable"
	readelf -lW "$bin" | awk '/GNU_STACK/ { if ($0 ~ /RWE/) exit 1 }' || echo "$bin:0: executable stack"
	readelf -lW "$bin" | awk '$1 == "LOAD" && $0 ~ / RWE / { exit 1 }' || echo "$bin:0: a segment is writable and executable"
	[ "$(stat -c %s "$bin")" -lt 41943040 ] || echo "$bin:0: larger than 40 MB"
}

[ $# -gt 0 ] || set -- format includes headers banned words shape tidy cppcheck scripts manual static
export build
for check in "$@"; do
	"check_$check" >"$found.one"
	say "$check" <"$found.one"
	cat "$found.one" >>"$found"
done
n=$(wc -l <"$found")
echo "lint: $n findings"
[ "$n" = 0 ]
