/* SPDX-License-Identifier: MIT */
/* The flags of a command, read as the last child document. Of a limit given twice the last one holds. */
#include <string.h>

#include "base/buf.h"
#include "base/parse.h"
#include "base/util.h"
#include "policy/internal.h"

enum flag_kind { FLAG_FS, FLAG_NET, FLAG_ENV, FLAG_LIMIT };

struct flag {
	const char *name;
	enum flag_kind kind;
	int verdict;
	unsigned int bits;
	const char *limit;
};

enum { ALL_FS = PYI_READ | PYI_WRITE | PYI_EXEC, ALL_NET = PYI_NET_CONNECT | PYI_NET_BIND };

static const struct flag flags_table[] = {
	{ "allow-read", FLAG_FS, PYI_ALLOW, PYI_READ, NULL },
	{ "allow-write", FLAG_FS, PYI_ALLOW, PYI_READ | PYI_WRITE, NULL },
	{ "allow-run", FLAG_FS, PYI_ALLOW, PYI_READ | PYI_EXEC, NULL },
	{ "deny-read", FLAG_FS, PYI_DENY, ALL_FS, NULL },
	{ "deny-write", FLAG_FS, PYI_DENY, ALL_FS, NULL },
	{ "deny-run", FLAG_FS, PYI_DENY, PYI_EXEC, NULL },
	{ "allow-net", FLAG_NET, PYI_ALLOW, PYI_NET_CONNECT, NULL },
	{ "deny-net", FLAG_NET, PYI_DENY, ALL_NET, NULL },
	{ "allow-env", FLAG_ENV, PYI_ENV_PASS, 0, NULL },
	{ "deny-env", FLAG_ENV, PYI_ENV_DENY, 0, NULL },
	{ "env", FLAG_ENV, PYI_ENV_SET, 0, NULL },
	{ "memory", FLAG_LIMIT, 0, 0, "memory" },
	{ "cpu", FLAG_LIMIT, 0, 0, "cpu" },
	{ "cpu-time", FLAG_LIMIT, 0, 0, "cpu_time" },
	{ "timeout", FLAG_LIMIT, 0, 0, "wall_time" },
	{ "pids", FLAG_LIMIT, 0, 0, "pids" },
	{ "open-files", FLAG_LIMIT, 0, 0, "open_files" },
	{ "output", FLAG_LIMIT, 0, 0, "output" },
	{ "tmp", FLAG_LIMIT, 0, 0, "tmp" },
	{ "net-bytes", FLAG_LIMIT, 0, 0, "net_bytes" },
	{ "net-rate", FLAG_LIMIT, 0, 0, "net_rate" },
	{ "numa", FLAG_LIMIT, 0, 0, "numa" },
};

static void read_net(struct pyi_loader *l, const struct pyi_source *source, const struct flag *flag,
		     const char *value)
{
	static const char prefix[] = "bind:";
	unsigned int ops = flag->bits;

	/* "bind:8080" is a host named bind and its port, so the prefix needs a second colon behind it. */
	if (strncmp(value, prefix, strlen(prefix)) == 0 && strpbrk(value + strlen(prefix), ":/")) {
		if (flag->verdict != PYI_ALLOW) {
			pyi_loader_error(
				l, source,
				"a denied address is denied to bind as well: write it without 'bind:'");
			return;
		}
		ops = PYI_NET_BIND;
		value += strlen(prefix);
	}
	pyi_rule_add_net(l, source, flag->verdict, ops, value);
}

static void read_flag(struct pyi_loader *l, const struct pyi_source *source,
		      const struct flag *flag, const char *value)
{
	switch (flag->kind) {
	case FLAG_FS:
		/* A bare name would be looked up in PATH by a shell and in this directory by us: refuse to guess. */
		if (flag->bits & PYI_EXEC && !(flag->bits & PYI_WRITE) && *value && !strchr(value, '/'))
			pyi_loader_error(l, source,
					 "'%.200s' has no slash: give the program's path, such as /usr/bin/%.200s",
					 value, value);
		else
			pyi_rule_add_fs(l, source, flag->verdict, flag->bits, value);
		break;
	case FLAG_NET:
		read_net(l, source, flag, value);
		break;
	case FLAG_ENV:
		pyi_rule_add_env(l, source, flag->verdict, value);
		break;
	case FLAG_LIMIT:
		pyi_rule_set_limit(l, source, flag->limit, value);
		break;
	}
}

void pyi_flags_read(struct pyi_loader *l, const struct pyi_policy_flag *flags, size_t n,
		    const char *cwd, const char *origin)
{
	const char *names[PYI_ARRAY_SIZE(flags_table)];

	for (size_t k = 0; k < PYI_ARRAY_SIZE(flags_table); k++)
		names[k] = flags_table[k].name;
	pyi_loader_begin(l);
	for (size_t i = 0; i < n; i++) {
		_cleanup_buf struct pyi_buf dashed = PYI_BUF_INIT;
		struct pyi_source source = { .dir = cwd, .is_template = origin };
		const struct flag *flag = NULL;

		if (origin)
			pyi_buf_puts(&dashed, origin);
		else
			pyi_buf_printf(&dashed, "--%s", flags[i].name);
		source.file = pyi_buf_str(&dashed);
		for (size_t k = 0; k < PYI_ARRAY_SIZE(flags_table) && !flag; k++)
			if (strcmp(flags_table[k].name, flags[i].name) == 0)
				flag = &flags_table[k];
		if (flag) {
			read_flag(l, &source, flag, flags[i].value);
		} else {
			const char *near = pyi_parse_nearest(flags[i].name, names,
							     PYI_ARRAY_SIZE(names));

			pyi_loader_error(l, &source, "no such flag of a policy%s%s",
					 near ? ", did you mean --" : "", near ? near : "");
		}
	}
	pyi_loader_end(l);
}
