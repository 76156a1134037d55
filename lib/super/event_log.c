/* SPDX-License-Identifier: MIT */
/* See event_log.h. Commands only append: that the file does not grow for ever is the supervisor's business. */
#include "super/event_log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/digest.h"
#include "base/err.h"
#include "base/json.h"
#include "base/util.h"
#include "super/state_dir.h"

void pyi_event_begin(struct pyi_json *json, struct pyi_buf *out, uint64_t unix_us, const char *event)
{
	struct timespec now;

	if (!unix_us) {
		clock_gettime(CLOCK_REALTIME, &now);
		unix_us = (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
	}
	pyi_json_init(json, out);
	pyi_json_object(json, NULL);
	pyi_json_ms(json, "time_ms", unix_us);
	pyi_json_string(json, "event", event);
}

/* One write for a line: two commands do not mix. Where there is no file there is no sandbox that has one. */
static void append(struct pyi_json *json, struct pyi_buf *out, const char *name)
{
	char below[PATH_MAX], path[PATH_MAX];
	struct pyi_state_dir dir;
	struct pyi_err unused = { 0 };
	_cleanup_fd int fd = -1;

	pyi_json_end_object(json);
	pyi_buf_putc(out, '\n');
	if (out->failed || pyi_state_dir_find(false, &dir, &unused) < 0 ||
	    pyi_state_dir_below(&dir, "log", false, below, &unused) < 0 ||
	    snprintf(path, sizeof(path), "%s/%s" PYI_EVENT_LOG_SUFFIX, below, name) >= (int)sizeof(path))
		return;
	fd = open(path, O_WRONLY | O_APPEND | O_NOFOLLOW | O_CLOEXEC);
	if (fd >= 0)
		(void)!write(fd, out->data, out->len);
}

static void add_caller(struct pyi_json *json)
{
	pyi_json_i64(json, "pid", getpid());
	pyi_json_u64(json, "uid", getuid());
}

void pyi_event_log_reload(const char *name, uint32_t generation, const uint8_t old_digest[32],
			  const uint8_t new_digest[32])
{
	_cleanup_buf struct pyi_buf out = PYI_BUF_INIT;
	char hex[2 * PYI_DIGEST_LEN + 1];
	struct pyi_json json;

	pyi_event_begin(&json, &out, 0, "POLICY_HOTLOAD");
	add_caller(&json);
	pyi_json_u64(&json, "generation", generation);
	pyi_digest_hex(old_digest, hex);
	pyi_json_string(&json, "old", hex);
	pyi_digest_hex(new_digest, hex);
	pyi_json_string(&json, "new", hex);
	append(&json, &out, name);
}

void pyi_event_log_token(const char *name, uint64_t wait_ms, uint32_t failures)
{
	_cleanup_buf struct pyi_buf out = PYI_BUF_INIT;
	struct pyi_json json;

	pyi_event_begin(&json, &out, 0, "POLICY_AUTH_FAILED");
	add_caller(&json);
	pyi_json_u64(&json, "wait_ms", wait_ms);
	pyi_json_u64(&json, "failures", failures);
	append(&json, &out, name);
}

void pyi_event_log_state(const char *name, const char *state, int pid)
{
	_cleanup_buf struct pyi_buf out = PYI_BUF_INIT;
	struct pyi_json json;

	pyi_event_begin(&json, &out, 0, "STATE");
	pyi_json_string(&json, "state", state);
	pyi_json_i64(&json, "pid", pid);
	append(&json, &out, name);
}
