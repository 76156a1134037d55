/* SPDX-License-Identifier: MIT */
/* See event_log.h. What cannot be written is not an error of what happened. */
#include "super/event_log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/digest.h"
#include "base/err.h"
#include "base/io.h"
#include "base/json.h"
#include "base/util.h"
#include "super/state_dir.h"

enum { SIZE_MAX_BYTES = 256 << 10 };

static int find_file(const char *name, const char *suffix, char path[PATH_MAX], struct pyi_err *err)
{
	char below[PATH_MAX];
	struct pyi_state_dir dir;
	int ret = pyi_state_dir_find(false, &dir, err);

	if (ret == 0)
		ret = pyi_state_dir_below(&dir, "policy", false, below, err);
	if (ret == 0 && snprintf(path, PATH_MAX, "%s/%s.events%s", below, name, suffix) >= PATH_MAX)
		ret = pyi_err_set(err, ENAMETOOLONG, "the name '%s' is too long", below);
	return ret;
}

static void begin(struct pyi_json *json, struct pyi_buf *out, const char *event)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	pyi_json_init(json, out);
	pyi_json_object(json, NULL);
	pyi_json_u64(json, "time_ms", (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000);
	pyi_json_string(json, "event", event);
	pyi_json_i64(json, "pid", getpid());
	pyi_json_u64(json, "uid", getuid());
}

/* One write for a line: two commands do not mix. */
static void end(struct pyi_json *json, struct pyi_buf *out, const char *name)
{
	char path[PATH_MAX], old[PATH_MAX];
	struct pyi_err unused = { 0 };
	_cleanup_fd int fd = -1;
	struct stat st;

	pyi_json_end_object(json);
	pyi_buf_putc(out, '\n');
	if (out->failed || find_file(name, "", path, &unused) < 0 ||
	    find_file(name, "-old", old, &unused) < 0)
		return;
	if (stat(path, &st) == 0 && st.st_size > SIZE_MAX_BYTES)
		(void)rename(path, old);
	fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd >= 0)
		(void)!write(fd, out->data, out->len);
}

void pyi_event_log_reload(const char *name, uint32_t generation, const uint8_t old_digest[32],
			  const uint8_t new_digest[32])
{
	_cleanup_buf struct pyi_buf out = PYI_BUF_INIT;
	char hex[2 * PYI_DIGEST_LEN + 1];
	struct pyi_json json;

	begin(&json, &out, "POLICY_HOTLOAD");
	pyi_json_u64(&json, "generation", generation);
	pyi_digest_hex(old_digest, hex);
	pyi_json_string(&json, "old", hex);
	pyi_digest_hex(new_digest, hex);
	pyi_json_string(&json, "new", hex);
	end(&json, &out, name);
}

void pyi_event_log_token(const char *name, uint64_t wait_ms, uint32_t failures)
{
	_cleanup_buf struct pyi_buf out = PYI_BUF_INIT;
	struct pyi_json json;

	begin(&json, &out, "POLICY_AUTH_FAILED");
	pyi_json_u64(&json, "wait_ms", wait_ms);
	pyi_json_u64(&json, "failures", failures);
	end(&json, &out, name);
}

int pyi_event_log_read(const char *name, struct pyi_buf *out, struct pyi_err *err)
{
	static const char *const suffixes[] = { "-old", "" };
	struct pyi_err none = { 0 };
	char path[PATH_MAX];
	int ret = find_file(name, "", path, &none);

	if (ret == -ENOENT)
		return 0;
	for (int i = 0; i < 2 && ret == 0; i++) {
		ret = find_file(name, suffixes[i], path, &none);
		if (ret == 0 && access(path, F_OK) == 0)
			ret = pyi_read_file(path, 4 * SIZE_MAX_BYTES, out, &none);
	}
	return ret < 0 ? pyi_err_set(err, none.errnum, "%s", none.msg) : 0;
}
