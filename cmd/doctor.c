/* SPDX-License-Identifier: MIT */
/* `pyisolate doctor`: what this host can enforce, tried and not guessed; exit code 0 only if a sandbox can run. */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/io.h"
#include "base/log.h"
#include "base/util.h"
#include "cmd/commands.h"
#include "kernel/bpf.h"
#include "kernel/facts_file.h"
#include "kernel/netns.h"
#include "kernel/probe.h"
#include "plan/facts.h"
#include "report/doctor.h"
#include "report/result.h"
#include "super/image_cache.h"

enum { DOCTOR_JSON = 1, DOCTOR_UNLOAD, DOCTOR_HELP };

enum { DOCTOR_CANNOT_RUN = 1 };

static const struct pyi_option doctor_options[] = {
	{ "json", 0, NULL, "print one JSON object", DOCTOR_JSON, false, false },
	{ "unload", 0, NULL,
	  "remove the BPF programs, maps and network namespaces that were pinned; refused while a "
	  "sandbox is live",
	  DOCTOR_UNLOAD, false, false },
	{ "help", 'h', NULL, "print this help", DOCTOR_HELP, false, false },
	{ 0 },
};

static int unload(void)
{
	struct pyi_err err = { 0 }, netns_err = { 0 };
	int bpf, netns;

	if (geteuid() != 0) {
		pyi_log_error("doctor --unload: only root can remove what is pinned");
		return PYI_EXIT_FAILURE;
	}
	pyi_facts_forget();
	bpf = pyi_bpf_unload(&err);
	netns = pyi_netns_unload(&netns_err);
	if (bpf || netns) {
		pyi_log_error("%s", bpf ? err.msg : netns_err.msg);
		return PYI_EXIT_FAILURE;
	}
	return 0;
}

/* Would a run start from an image now? */
static const char *image_state(struct pyi_err *err)
{
	const struct pyi_image_wish wish = { .max_age_ms = PYI_IMAGE_AGE_MS };
	_cleanup_fd int fd = -1;

	return pyi_image_find(&wish, &fd, err) ? err->msg : "valid, 'pyisolate image show' tells more";
}

static int report(bool as_json)
{
	struct pyi_err image_err = { 0 };
	const char *image = image_state(&image_err);
	_cleanup_buf struct pyi_buf out = PYI_BUF_INIT, pins = PYI_BUF_INIT;
	struct pyi_facts facts = { 0 };
	int ret;

	pyi_probe_all(&facts);
	pyi_bpf_list_others(&pins);
	if (as_json)
		pyi_doctor_print_json(&facts, image, pyi_buf_str(&pins), &out);
	else
		pyi_doctor_print(&facts, image, pyi_buf_str(&pins), &out);
	if (out.failed || pins.failed) {
		pyi_log_error("out of memory");
		return PYI_EXIT_FAILURE;
	}
	ret = pyi_write_all(STDOUT_FILENO, out.data, out.len);
	if (ret) {
		struct pyi_err err = { 0 };

		pyi_err_sys(&err, -ret, "cannot write the report");
		pyi_log_error("%s", err.msg);
		return PYI_EXIT_FAILURE;
	}
	return pyi_doctor_can_run(&facts) ? 0 : DOCTOR_CANNOT_RUN;
}

static int doctor_command(int argc, char **argv)
{
	bool as_json = false, wants_unload = false;
	struct pyi_option_parser parser;
	int ret;

	pyi_options_init(&parser, doctor_options, argc, argv);
	while ((ret = pyi_options_next(&parser)) > 0) {
		switch (parser.option->id) {
		case DOCTOR_HELP:
			pyi_command_print_help(&pyi_command_doctor);
			return 0;
		case DOCTOR_JSON:
			as_json = true;
			break;
		case DOCTOR_UNLOAD:
			wants_unload = true;
			break;
		}
	}
	if (ret < 0)
		return pyi_usage_error("doctor", "%s", parser.error);
	if (parser.next < argc)
		return pyi_usage_error("doctor", "unexpected argument '%s'", argv[parser.next]);
	if (wants_unload && as_json)
		return pyi_usage_error("doctor", "--unload prints nothing: leave out --json");
	return wants_unload ? unload() : report(as_json);
}

const struct pyi_command pyi_command_doctor = {
	.name = "doctor",
	.run = doctor_command,
	.summary = "say what this host can enforce, and what to do about what is missing",
	.usage = "[--json | --unload]",
	.options = doctor_options,
};
