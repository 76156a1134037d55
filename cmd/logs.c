/* SPDX-License-Identifier: MIT */
/* `pyisolate logs`: what a named sandbox printed. */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"
#include "base/util.h"
#include "cmd/named_args.h"
#include "report/result.h"
#include "super/logfile.h"
#include "super/named.h"
#include "super/registry.h"
#include "super/state_dir.h"

enum { LOGS_FOLLOW = PYI_NAMED_N_IDS };

static const struct pyi_option logs_options[] = {
	PYI_NAMED_OPTION("follow", 'f', NULL, LOGS_FOLLOW, "go on until the sandbox ends"),
	PYI_NAMED_HELP_OPTION,
	{ 0 },
};

static int apply_option(const struct pyi_option *option, const char *value, void *arg)
{
	*(bool *)arg = true;
	return 0;
}

static int show(struct pyi_registry *registry, const char *name, bool follow, struct pyi_err *err)
{
	struct pyi_abi_sandbox sandbox;
	struct pyi_state_dir dir;
	char path[PATH_MAX];
	_cleanup_fd int pidfd = -1;
	int ret = pyi_named_find(registry, name, &sandbox, err);

	if (ret == 0 && follow && !pyi_sandbox_has_ended(&sandbox))
		ret = pyi_named_pidfd(&sandbox, &pidfd, err);
	if (ret == -ESRCH)
		ret = 0; /* it ended just now: all of its log is there */
	if (ret == 0)
		ret = pyi_state_dir_find(false, &dir, err);
	if (ret == 0)
		ret = pyi_state_dir_below(&dir, "log", false, path, err);
	return ret < 0 ? ret : pyi_logfile_show(path, name, STDOUT_FILENO, pidfd, err);
}

static int logs_command(int argc, char **argv)
{
	struct pyi_registry *registry = NULL;
	struct pyi_err err = { 0 };
	const char *name;
	bool follow = false;
	int ret = pyi_named_begin(&pyi_command_logs, argc, argv, true, apply_option, &follow, &name,
				  &registry);

	if (ret >= 0)
		return ret;
	ret = show(registry, name, follow, &err);
	if (ret < 0)
		pyi_log_error("%s", err.msg);
	pyi_registry_free(registry);
	return ret < 0 ? PYI_EXIT_FAILURE : 0;
}

const struct pyi_command pyi_command_logs = {
	.name = "logs",
	.run = logs_command,
	.summary = "print what a named sandbox wrote",
	.usage = "NAME [-f]",
	.options = logs_options,
	.names_sandbox = true,
};
