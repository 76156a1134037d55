/* SPDX-License-Identifier: MIT */
/* The options that are part of a policy: every command that takes a policy takes them, and in the same words. */
#ifndef PYI_CMD_POLICY_OPTIONS_H
#define PYI_CMD_POLICY_OPTIONS_H

#include "cmd/options.h"

#define PYI_POLICY_OPTION(name_, arg_, id_, help_) { name_, 0, arg_, help_, id_, true, false }

/* Entries of an option table, all with this id; pyi_policy_load knows them by name (lib/policy/flags.c). */
#define PYI_POLICY_OPTIONS(id)                                                                      \
	PYI_POLICY_OPTION("allow-read", "PATH", id,                                                 \
			  "grant reading of a path and all below it; globs work"),                  \
		PYI_POLICY_OPTION("deny-read", "PATH", id, "deny a path, whatever else allows it"), \
		PYI_POLICY_OPTION("allow-write", "PATH", id,                                        \
				  "grant reading and writing; a missing file is made"),             \
		PYI_POLICY_OPTION("deny-write", "PATH", id, "as --deny-read"),                      \
		PYI_POLICY_OPTION("allow-run", "PATH", id, "grant executing a program"),            \
		PYI_POLICY_OPTION("deny-run", "PATH", id, "deny executing a program"),              \
		PYI_POLICY_OPTION("allow-net", "HOST:PORT", id,                                     \
				  "grant connecting; udp://HOST:PORT, bind:ADDRESS:PORT"),          \
		PYI_POLICY_OPTION("deny-net", "HOST:PORT", id, "deny an address, prefix or name"),  \
		PYI_POLICY_OPTION("allow-env", "NAME", id,                                          \
				  "let an environment variable through; NAME* for a prefix"),       \
		PYI_POLICY_OPTION("deny-env", "NAME", id, "keep an environment variable out"),      \
		PYI_POLICY_OPTION("env", "NAME=VALUE", id, "set an environment variable"),          \
		PYI_POLICY_OPTION("memory", "SIZE", id, "memory limit, such as 256MiB"),            \
		PYI_POLICY_OPTION("cpu", "SHARE", id, "CPU bandwidth, such as 50% of one CPU"),     \
		PYI_POLICY_OPTION("cpu-time", "TIME", id, "CPU time limit, such as 10s"),           \
		PYI_POLICY_OPTION("timeout", "TIME", id, "wall time limit, such as 1.5s"),          \
		PYI_POLICY_OPTION("pids", "N", id, "processes and threads at once"),                \
		PYI_POLICY_OPTION("open-files", "N", id, "open files of one process"),              \
		PYI_POLICY_OPTION("output", "SIZE", id, "bytes on stdout and stderr together"),     \
		PYI_POLICY_OPTION("tmp", "SIZE", id, "size of the private /tmp"),                   \
		PYI_POLICY_OPTION("net-bytes", "SIZE", id, "bytes sent and received, together"),    \
		PYI_POLICY_OPTION("net-rate", "SIZE", id, "bytes sent and received in a second"),   \
		PYI_POLICY_OPTION("numa", "NODE", id, "the CPUs and the memory of one NUMA node")

#endif
