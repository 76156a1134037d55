/* SPDX-License-Identifier: MIT */
/* `pyisolate stats`: named sandboxes, live and ended. */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/io.h"
#include "base/log.h"
#include "base/util.h"
#include "cmd/named_args.h"
#include "pyi_abi.h"
#include "report/prometheus.h"
#include "report/result.h"
#include "report/sandboxes.h"
#include "super/event_log.h"
#include "super/named.h"
#include "super/registry.h"

enum { STATS_JSON = PYI_NAMED_N_IDS, STATS_PROMETHEUS, STATS_EVENTS };

static const struct pyi_option stats_options[] = {
	PYI_NAMED_OPTION("json", 0, NULL, STATS_JSON, "print JSON"),
	PYI_NAMED_OPTION("prometheus", 0, "[FILE]", STATS_PROMETHEUS,
			 "print metrics, or replace FILE with them"),
	PYI_NAMED_OPTION("events", 0, NULL, STATS_EVENTS,
			 "of a live sandbox: its reloads and wrong tokens, a JSON object each"),
	PYI_NAMED_HELP_OPTION,
	{ 0 },
};

struct choice {
	bool json;
	bool prometheus;
	bool events;
	const char *file; /* NULL: standard output */
};

static int apply_option(const struct pyi_option *option, const char *value, void *arg)
{
	struct choice *choice = arg;

	if (option->id == STATS_EVENTS) {
		choice->events = true;
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

static int print_events(struct pyi_registry *registry, const char *name, struct pyi_err *err)
{
	_cleanup_buf struct pyi_buf out = PYI_BUF_INIT;
	struct pyi_abi_sandbox sandbox;
	int ret = pyi_named_find(registry, name, &sandbox, err);

	if (ret == 0)
		ret = pyi_event_log_read(name, &out, err);
	if (ret < 0)
		return ret;
	ret = pyi_write_all(STDOUT_FILENO, out.data, out.len);
	return ret < 0 ? pyi_err_sys(err, -ret, "cannot write to standard output") : 0;
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
	else
		ret = choice.events ? print_events(registry, name, &err)
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
	.usage = "[NAME] [--json | --prometheus [FILE]]\nNAME --events",
	.options = stats_options,
	.names_sandbox = true,
};
