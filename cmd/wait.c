/* SPDX-License-Identifier: MIT */
/* `pyisolate wait`: until a named sandbox has ended; its exit code becomes ours. */
#include "base/err.h"
#include "base/log.h"
#include "cmd/named_args.h"
#include "report/result.h"
#include "super/named.h"
#include "super/registry.h"

static const struct pyi_option wait_options[] = { PYI_NAMED_HELP_OPTION, { 0 } };

static int apply_option(const struct pyi_option *option, const char *value, void *arg)
{
	return 0;
}

static int wait_command(int argc, char **argv)
{
	struct pyi_registry *registry = NULL;
	struct pyi_err err = { 0 };
	const char *name;
	int code = PYI_EXIT_FAILURE;
	int ret = pyi_named_begin(&pyi_command_wait, argc, argv, true, apply_option, NULL, &name,
				  &registry);

	if (ret >= 0)
		return ret;
	if (pyi_named_wait(registry, name, &code, &err) < 0) {
		pyi_log_error("%s", err.msg);
		code = PYI_EXIT_FAILURE;
	}
	pyi_registry_free(registry);
	return code;
}

const struct pyi_command pyi_command_wait = {
	.name = "wait",
	.run = wait_command,
	.summary = "wait for the end of a named sandbox; exits with its exit code",
	.usage = "NAME",
	.options = wait_options,
	.names_sandbox = true,
};
