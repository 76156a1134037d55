/* SPDX-License-Identifier: MIT */
/* `pyisolate run`: check the options, hand them to pyi_run. */
#include <stdlib.h>

#include "base/log.h"
#include "base/timing.h"
#include "base/util.h"
#include "cmd/commands.h"
#include "cmd/run_options.h"
#include "guest/python_layout.h"
#include "report/result.h"
#include "super/run.h"

enum {
	RUN_TIMINGS = PYI_RUN_N_IDS,
	RUN_PROFILE,
	RUN_TRACE,
	RUN_TRACE_OUTPUT,
	RUN_AUDIT,
	RUN_SUGGEST
};

static const struct pyi_option run_options[] = {
	PYI_RUN_OPTIONS,
	PYI_RUN_OPTION("timings", 0, NULL, RUN_TIMINGS, "say on stderr where the time went"),
	PYI_RUN_OPTION("profile", 0, NULL, RUN_PROFILE,
		       "print CPU and memory over time on stderr at the end"),
	PYI_RUN_OPTION("trace", 0, NULL, RUN_TRACE,
		       "as root: say on stderr what the guest asks of the kernel, and by which rule"),
	PYI_RUN_OPTION("trace-output", 'o', "FILE", RUN_TRACE_OUTPUT,
		       "the same, written to FILE; with --json an object a line"),
	PYI_RUN_OPTION("audit", 0, NULL, RUN_AUDIT,
		       "as root: allow what the policy does not deny, and record it"),
	PYI_RUN_OPTION("suggest", 0, "FILE", RUN_SUGGEST,
		       "audit, and write the least policy that would have let it run to FILE"),
	{ 0 },
};

/* The options of our own. */
static int own_option(const struct pyi_option *option, const char *value, void *arg)
{
	struct pyi_run_options *options = arg;

	switch (option->id) {
	case RUN_PROFILE:
		options->profile = true;
		return 0;
	case RUN_TRACE_OUTPUT:
		options->trace_path = value;
		options->trace = true;
		return 0;
	case RUN_TRACE:
		options->trace = true;
		return 0;
	case RUN_SUGGEST:
		options->suggest_path = value;
		options->audit = options->keep_asked = true;
		return 0;
	case RUN_AUDIT:
		options->audit = options->keep_asked = true;
		return 0;
	default:
		pyi_timing_start();
		return 0;
	}
}

static int run_command(int argc, char **argv)
{
	_cleanup_free struct pyi_policy_flag *flags = calloc((size_t)argc, sizeof(*flags));
	struct pyi_run_options options = { .result_fd = -1, .python_layout = pyi_python_layout };
	int ret;

	if (!flags) {
		pyi_log_error("out of memory");
		return PYI_EXIT_FAILURE;
	}
	ret = pyi_run_options_parse("run", run_options, argc, argv, flags, &options, own_option,
				    &options);
	if (ret < 0) {
		pyi_command_print_help(&pyi_command_run);
		return 0;
	}
	if (!ret && options.suggest_path && options.dry_run)
		ret = pyi_usage_error("run", "--suggest needs a run: it does not go with --dry-run");
	return ret ? ret : pyi_run(&options);
}

const struct pyi_command pyi_command_run = {
	.name = "run",
	.run = run_command,
	.summary = "run Python code, or another program, in a sandbox",
	.usage = "[options] -c CODE [args...]\n[options] -m MODULE [args...]\n[options] SCRIPT [args...]\n"
		 "[options] - [args...]\n[options] -- CMD [args...]",
	.options = run_options,
};
