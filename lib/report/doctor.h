/* SPDX-License-Identifier: MIT */
/* What a host can enforce: each feature, what it is for, what to do where it is missing. Pure. */
#ifndef PYI_REPORT_DOCTOR_H
#define PYI_REPORT_DOCTOR_H

#include <stdbool.h>

struct pyi_buf;
struct pyi_facts;

/*
 * A: every layer of this version. B: limits, network rules or ownership of files fall short. C: Landlock or seccomp is
 * missing. D: no namespaces, Landlock and seccomp alone. F: no sandbox can run.
 */
char pyi_doctor_grade(const struct pyi_facts *facts);

/* Would `run` start a sandbox here at all, with a policy that grants nothing? The planner is asked. */
bool pyi_doctor_can_run(const struct pyi_facts *facts);

/*
 * Readable text. `image`: the state of the image that runs start from, one line. `pins`: what others than this build
 * have pinned, one line; "": nothing.
 */
void pyi_doctor_print(const struct pyi_facts *facts, const char *image, const char *pins,
		      struct pyi_buf *out);

/*
 * One JSON object and a newline: release, root, can_run, grade, default_mode, landlock_abi, bytes_of_files, image,
 * other_pins (null: none), features {NAME: {on, detail, errno, purpose, loss, advice}}; errno, loss and advice are null
 * for what is on.
 */
void pyi_doctor_print_json(const struct pyi_facts *facts, const char *image, const char *pins,
			   struct pyi_buf *out);

#endif
