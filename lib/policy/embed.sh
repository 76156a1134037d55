#!/bin/sh
# SPDX-License-Identifier: MIT
#
# embed.sh FILE.yml...: print a C file that holds the policy templates as data, in the order given.
set -eu

printf '/* Made by lib/policy/embed.sh from policy/: do not edit. */\n'
printf '#include <stddef.h>\n\n#include "policy/policy.h"\n\n'
n=0
for file in "$@"; do
	printf 'static const char text_%d[] = {\n' "$n"
	od -An -v -tu1 "$file" | sed 's/^ */\t/; s/ *$/,/; s/  */, /g'
	printf '\t0,\n};\n\n'
	n=$((n + 1))
done
printf 'const struct pyi_template pyi_templates[] = {\n'
n=0
for file in "$@"; do
	name=${file##*/}
	printf '\t{ "%s", text_%d, sizeof(text_%d) - 1 },\n' "${name%.yml}" "$n" "$n"
	n=$((n + 1))
done
printf '};\nconst size_t pyi_n_templates = %d;\n' "$n"
