/* SPDX-License-Identifier: MIT */
/*
 * Lines for the person at the terminal: stderr, prefixed "pyisolate: ". Only cmd/ and lib/super print, and only
 * through this. Control characters in what is printed are shown as \xNN, so that a guest cannot write to the
 * terminal through a path name.
 */
#ifndef PYI_BASE_LOG_H
#define PYI_BASE_LOG_H

enum pyi_log_level {
	PYI_LOG_QUIET = -1, /* -q: errors only */
	PYI_LOG_NORMAL = 0,
	PYI_LOG_VERBOSE = 1, /* -v */
};

void pyi_log_set_level(enum pyi_log_level level);
enum pyi_log_level pyi_log_get_level(void);

void pyi_log_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void pyi_log_note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));	  /* unless -q */
void pyi_log_verbose(const char *fmt, ...) __attribute__((format(printf, 1, 2))); /* with -v */

#endif
