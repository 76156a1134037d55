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
echo "==> $name: $([ $code = 0 ] && echo done || echo "FAILED (exit $code)") in $(($(date +%s) - start)) s"
exit $code
