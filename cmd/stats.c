/* SPDX-License-Identifier: MIT */
/* `pyisolate stats`: named sandboxes, live and ended. */
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/io.h"
#include "base/log.h"
#include "base/util.h"
#include "cmd/named_args.h"
#include "pyi_abi.h"
#include "report/event_line.h"
#include "report/prometheus.h"
#include "report/result.h"
#include "report/sandboxes.h"
#include "super/event_log.h"
#include "super/logfile.h"
#include "super/named.h"
#include "super/registry.h"
#include "super/state_dir.h"

enum { STATS_JSON = PYI_NAMED_N_IDS, STATS_PROMETHEUS, STATS_EVENTS, STATS_FOLLOW };

static const struct pyi_option stats_options[] = {
	PYI_NAMED_OPTION("json", 0, NULL, STATS_JSON, "print JSON"),
	PYI_NAMED_OPTION("prometheus", 0, "[FILE]", STATS_PROMETHEUS,
			 "print metrics, or replace FILE with them"),
	PYI_NAMED_OPTION("events", 0, NULL, STATS_EVENTS,
			 "what happened to a sandbox: states, denials, limits, reloads"),
	PYI_NAMED_OPTION("follow", 'f', NULL, STATS_FOLLOW, "with --events: go on until it ends"),
	PYI_NAMED_HELP_OPTION,
	{ 0 },
};

struct choice {
	bool json;
	bool prometheus;
	bool events;
	bool follow;
	const char *file; /* NULL: standard output */
};

static int apply_option(const struct pyi_option *option, const char *value, void *arg)
{
	struct choice *choice = arg;

	if (option->id == STATS_EVENTS) {
		choice->events = true;
	} else if (option->id == STATS_FOLLOW) {
		choice->follow = true;
	} else if (option->id == STATS_JSON) {
		choice->json = true;
	} else {
		choice->prometheus = true;
		choice->file = value;
	}
	if (choice->json && choice->prometheus)
		return pyi_usage_error("stats", "--json or --prometheus, not both");
	return 0;
}

/* Whole lines, for people. */
static int put_lines(void *arg, const char *data, size_t len)
{
	_cleanup_buf struct pyi_buf out = PYI_BUF_INIT;
	struct pyi_buf *rest = arg;
	const char *end;
	size_t done = 0;

	pyi_buf_add(rest, data, len);
	if (rest->failed)
		return -ENOMEM;
	while ((end = memchr(rest->data + done, '\n', rest->len - done))) {
		pyi_event_line_print(rest->data + done, (size_t)(end - rest->data) - done, &out);
		done = (size_t)(end - rest->data) + 1;
	}
	rest->len -= done;
	memmove(rest->data, rest->data + done, rest->len);
	return out.failed ? -ENOMEM : pyi_write_all(STDOUT_FILENO, out.data, out.len);
}

static int put_as_it_is(void *arg, const char *data, size_t len)
{
	return pyi_write_all(STDOUT_FILENO, data, len);
}

static int print_events(struct pyi_registry *registry, const char *name,
			const struct choice *choice, struct pyi_err *err)
{
	_cleanup_buf struct pyi_buf rest = PYI_BUF_INIT;
	struct pyi_logfile_sink sink = { choice->json ? put_as_it_is : put_lines, &rest, STDOUT_FILENO };
	struct pyi_abi_sandbox sandbox;
	struct pyi_state_dir dir;
	_cleanup_fd int pidfd = -1;
	char path[PATH_MAX];
	int ret = pyi_named_find(registry, name, &sandbox, err);

	if (ret == 0 && choice->follow && !pyi_sandbox_has_ended(&sandbox))
		ret = pyi_named_pidfd(&sandbox, &pidfd, err);
	if (ret == -ESRCH)
		ret = 0; /* it ended just now: all of it is there */
	if (ret == 0)
		ret = pyi_state_dir_find(false, &dir, err);
	if (ret == 0)
		ret = pyi_state_dir_below(&dir, "log", false, path, err);
	return ret < 0 ? ret : pyi_logfile_show_to(path, name, PYI_EVENT_LOG_SUFFIX, &sink, pidfd, err);
}

static int print_rows(struct pyi_registry *registry, const char *name, const struct choice *choice,
		      struct pyi_err *err)
{
	_cleanup_free struct pyi_sandbox_row *rows = NULL;
	_cleanup_buf struct pyi_buf out = PYI_BUF_INIT;
	size_t n;
	int ret = pyi_named_rows(registry, name, &rows, &n, err);

	if (ret < 0)
		return ret;
	if (choice->prometheus)
		pyi_prometheus_print(rows, n, &out);
	else if (choice->json)
		pyi_sandboxes_print_json(rows, n, name != NULL, &out);
	else
		pyi_sandboxes_print(rows, n, &out);
	if (out.failed)
		return pyi_err_nomem(err);
	if (choice->file)
		return pyi_replace_file(choice->file, out.data, out.len, err);
	ret = pyi_write_all(STDOUT_FILENO, out.data, out.len);
	return ret < 0 ? pyi_err_sys(err, -ret, "cannot write to standard output") : 0;
}

static int stats_command(int argc, char **argv)
{
	struct pyi_registry *registry = NULL;
	struct choice choice = { .json = false };
	struct pyi_err err = { 0 };
	const char *name;
	int ret = pyi_named_begin(&pyi_command_stats, argc, argv, false, apply_option, &choice,
				  &name, &registry);

	if (ret >= 0)
		return ret;
	if (choice.events && !name)
		ret = pyi_err_set(&err, EINVAL, "--events needs the name of a sandbox");
	else if (choice.follow && !choice.events)
		ret = pyi_err_set(&err, EINVAL, "--follow goes with --events");
	else
		ret = choice.events ? print_events(registry, name, &choice, &err)
				    : print_rows(registry, name, &choice, &err);
	if (ret < 0)
		pyi_log_error("%s", err.msg);
	pyi_registry_free(registry);
	return ret < 0 ? PYI_EXIT_FAILURE : 0;
}

const struct pyi_command pyi_command_stats = {
	.name = "stats",
	.run = stats_command,
	.summary = "list named sandboxes, live and ended, with their state and usage",
	.usage = "[NAME] [--json | --prometheus [FILE]]\nNAME --events [-f] [--json]",
	.options = stats_options,
	.names_sandbox = true,
};
