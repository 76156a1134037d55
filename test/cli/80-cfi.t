#!/bin/sh
# SPDX-License-Identifier: MIT
# shellcheck shell=sh
#
# Control-flow integrity of the release build: a corrupted function pointer is stopped, and only because of it.
. "${0%/*}/lib.sh"
need helper:cfi-on helper:cfi-off

run "$HELPERS/cfi-off"
exits 0 "without CFI the corrupted pointer is followed"
contains "$out" hijacked "it runs the attacker's choice"
run "$HELPERS/cfi-on"
exits 132 "with CFI the call is stopped by a trap (SIGILL)"
is "$out" before "before the attacker's choice runs"
done_testing
