/* SPDX-License-Identifier: MIT */
/*
 * A pattern and a path, divided by a newline. No crash and no runaway; a pattern without anything special in it covers
 * exactly itself and what is below; what is covered stays covered further down.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "policy/internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(int is_so)
{
	if (!is_so)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *pattern = malloc(size + 1), *path, *below;
	bool is_glob = false, covers;
	const char *wrong;

	if (!pattern)
		return 0;
	memcpy(pattern, data, size);
	pattern[size] = '\0';
	path = strchr(pattern, '\n');
	if (!path || size > 8192) {
		free(pattern);
		return -1;
	}
	*path++ = '\0';
	wrong = pyi_glob_check(pattern, &is_glob);
	covers = pyi_policy_path_matches(pattern, path);
	if (!wrong && !is_glob && strlen(pattern) > 1 && strlen(pattern) <= PYI_PATH_TEXT_MAX && *path) {
		size_t len = strlen(pattern);

		expect(covers == (strncmp(pattern, path, len) == 0 && (!path[len] || path[len] == '/')));
	}
	below = malloc(strlen(path) + 3);
	if (below && covers && *path) {
		memcpy(below, path, strlen(path));
		memcpy(below + strlen(path), "/x", 3);
		expect(pyi_policy_path_matches(pattern, below));
	}
	free(below);
	free(pattern);
	return 0;
}
