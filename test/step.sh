#!/bin/sh
# SPDX-License-Identifier: MIT
#
# step.sh NAME COMMAND...: say what is being done and how long it took.
name=$1
shift
echo "==> $name"
start=$(date +%s)
"$@"
code=$?
if [ $code = 0 ]; then end="done"; else end="FAILED (exit $code)"; fi
echo "==> $name: $end in $(($(date +%s) - start)) s"
exit $code
