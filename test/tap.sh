#!/bin/sh
# SPDX-License-Identifier: MIT
#
# tap.sh FILE: run one test file (a .t or .sh script, or a program that speaks TAP) with a time limit, show its TAP and
# keep it in $PYI_TAP_DIR for counting. Several plans in one file (cmocka
# prints one a group) become one. A file that ends early, hangs or exits non-zero without saying why is a failed
# test. Runs under prove on a host and by itself in the virtual machine (busybox).
#
# tap.sh --count DIR...: "PASSED FAILED SKIPPED" over the kept files.
# tap.sh --failures DIR...: what failed, with the comments that follow it.
# tap.sh --skips DIR...: why tests were skipped, with counts.
set -u

case ${1-} in
--count | --failures | --skips)
	what=$1
	shift
	find "$@" -name '*.tap' 2>/dev/null | sort | xargs cat /dev/null | awk -v what="$what" '
		/^# FILE / { file = $3; show = 0; next }
		/^not ok/ {
			failed++; show = 1
			if (what == "--failures") print file ": " $0
			next
		}
		/^1\.\.0 *# *[sS][kK][iI][pP]/ || /^ok.* # *[sS][kK][iI][pP]/ {
			skipped++; show = 0
			sub(/^.*# *[sS][kK][iI][pP][a-zA-Z]* */, "")
			reasons[$0]++
			next
		}
		/^ok/ { passed++; show = 0; next }
		/^#/ { if (show && what == "--failures") print "    " $0 }
		END {
			if (what == "--count") print passed + 0, failed + 0, skipped + 0
			if (what == "--skips") for (r in reasons) print "    " reasons[r] " skipped: " r
		}'
	exit 0
	;;
esac

file=$1
name=$(echo "${file#"${PYI_TAP_ROOT-}"}" | sed 's,^/*,,; s,[^A-Za-z0-9._-],-,g')
log=$PYI_TAP_DIR/$name.tap
start=$(date +%s)
case $file in
*.t | *.sh) set -- sh "$file" ;;
*) set -- "$file" ;;
esac
CMOCKA_MESSAGE_OUTPUT=TAP timeout -k 10 "${PYI_TEST_TIMEOUT:-600}" "$@" >"$log.out" 2>"$log.err" </dev/null
code=$?
seconds=$(($(date +%s) - start))
awk -v file="${PYI_TAP_DIR##*/}/$name" -v code="$code" -v seconds="$seconds" -v errors="$log.err" '
	BEGIN { print "# FILE " file }
	/^1\.\.0/ { plan = $0; next }
	/^1\.\.[0-9]+/ { plan = $0; planned += substr($1, 4); next }
	/^TAP version/ { next }
	/^ok/ { sub(/^ok *[0-9]*/, "ok " ++n); print; next }
	/^not ok/ { failed++; sub(/^not ok *[0-9]*/, "not ok " ++n); print; next }
	/^#/ { print; next }
	{ print "# " $0 }
	END {
		while ((getline line < errors) > 0 && lines++ < 200) print "# stderr: " line
		why = ""
		if (code == 124 || code == 137) why = "ran out of time after " seconds " s"
		else if (plan == "") why = "ended early with exit code " code
		else if (planned != n) why = "planned " planned " tests, ran " n + 0
		else if (code != 0 && !failed) why = "exit code " code
		if (why != "") print "not ok " ++n " - " file ": " why
		if (n) plan = "1.." n
		print plan
		print "# " seconds " s"
	}' "$log.out" >"$log"
rm -f "$log.out" "$log.err"
cat "$log"
! grep -q '^not ok' "$log"
