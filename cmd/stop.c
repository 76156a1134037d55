/* SPDX-License-Identifier: MIT */
/* `pyisolate stop`: end a named sandbox. */
#include <stdint.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "base/parse.h"
#include "cmd/named_args.h"
#include "report/result.h"
#include "super/named.h"
#include "super/registry.h"

enum { STOP_TIMEOUT = PYI_NAMED_N_IDS, STOP_QUIET };
enum { TIMEOUT_DEFAULT_MS = 200, TIMEOUT_MAX_MS = 24 * 3600 * 1000 };

static const struct pyi_option stop_options[] = {
	PYI_NAMED_OPTION("timeout", 't', "TIME", STOP_TIMEOUT,
			 "what it gets between SIGTERM and SIGKILL: 500ms, 5s, seconds (default: 0.2)"),
	PYI_NAMED_OPTION("quiet", 'q', NULL, STOP_QUIET, "errors only"),
	PYI_NAMED_HELP_OPTION,
	{ 0 },
};

static int parse_timeout(const char *text, uint64_t *ret_ms)
{
	struct pyi_err err = { 0 };

	if (strspn(text, "0.") == strlen(text) && text[0]) {
		*ret_ms = 0;
		return 0;
	}
	if (pyi_parse_timeout(text, ret_ms, &err) == 0)
		return *ret_ms <= TIMEOUT_MAX_MS
			       ? 0
			       : pyi_usage_error("stop", "--timeout '%s': a day at most", text);
	return pyi_usage_error("stop", "--timeout '%s': %s", text, err.msg);
}

static int apply_option(const struct pyi_option *option, const char *value, void *arg)
{
	if (option->id == STOP_TIMEOUT)
		return parse_timeout(value, arg);
	pyi_log_set_level(PYI_LOG_QUIET);
	return 0;
}

static int stop_command(int argc, char **argv)
{
	uint64_t timeout_ms = TIMEOUT_DEFAULT_MS;
	struct pyi_registry *registry = NULL;
	struct pyi_err err = { 0 };
	const char *name;
	bool was_live;
	int ret = pyi_named_begin(&pyi_command_stop, argc, argv, true, apply_option, &timeout_ms,
				  &name, &registry);

	if (ret >= 0)
		return ret;
	ret = pyi_named_stop(registry, name, timeout_ms, &was_live, &err);
	if (ret < 0)
		pyi_log_error("%s", err.msg);
	else if (!was_live)
		pyi_log_note("sandbox '%s' had ended already", name);
	pyi_registry_free(registry);
	return ret < 0 ? PYI_EXIT_FAILURE : 0;
}

const struct pyi_command pyi_command_stop = {
	.name = "stop",
	.run = stop_command,
	.summary = "end a named sandbox: SIGTERM, then SIGKILL",
	.usage = "NAME [--timeout TIME]",
	.options = stop_options,
	.names_sandbox = true,
};
