/* SPDX-License-Identifier: MIT */
/* What a contract may name. A name that nothing counts is refused with what to use instead. */
#include <string.h>

#include "base/util.h"
#include "policy/contract.h"
#include "policy/contract_tree.h"

#define WRITTEN	  PYI_EV_BIT(PYI_EV_BYTES_WRITTEN)
#define ADDRESSED (PYI_EV_BIT(PYI_EV_CONNECT) | PYI_EV_BIT(PYI_EV_SEND) | PYI_EV_BIT(PYI_EV_BIND))

/* clang-format off */
const struct pyi_contract_field pyi_contract_fields[] = {
	{ "net.connects", PYI_EV_CONNECT, PYI_UNIT_COUNT, false, true, PYI_EV_BIT(PYI_EV_CONNECT), NULL },
	{ "net.sends", PYI_EV_SEND, PYI_UNIT_COUNT, false, true, PYI_EV_BIT(PYI_EV_SEND), NULL },
	{ "net.binds", PYI_EV_BIND, PYI_UNIT_COUNT, false, true, PYI_EV_BIT(PYI_EV_BIND), NULL },
	{ "net.sockets", PYI_EV_SOCKET, PYI_UNIT_COUNT, false, false, PYI_EV_BIT(PYI_EV_SOCKET), NULL },
	{ "net.denied", PYI_EV_NET_DENIED, PYI_UNIT_COUNT, false, true, PYI_EV_NET_ALL, NULL },
	{ "fs.opens", PYI_EV_OPEN, PYI_UNIT_COUNT, true, false, PYI_EV_BIT(PYI_EV_OPEN), NULL },
	{ "fs.writes", PYI_EV_WRITE, PYI_UNIT_COUNT, true, false, PYI_EV_BIT(PYI_EV_WRITE), NULL },
	{ "fs.creates", PYI_EV_CREATE, PYI_UNIT_COUNT, true, false, PYI_EV_BIT(PYI_EV_CREATE), NULL },
	{ "fs.deletes", PYI_EV_DELETE, PYI_UNIT_COUNT, true, false, PYI_EV_BIT(PYI_EV_DELETE), NULL },
	{ "fs.denied", PYI_EV_FS_DENIED, PYI_UNIT_COUNT, true, false, PYI_EV_FS_ALL, NULL },
	{ "exec.count", PYI_EV_EXEC, PYI_UNIT_COUNT, true, false, PYI_EV_BIT(PYI_EV_EXEC), NULL },
	{ "exec.denied", PYI_EV_EXEC_DENIED, PYI_UNIT_COUNT, true, false, PYI_EV_EXEC_ALL, NULL },
	{ "fs.bytes_written", PYI_EV_BYTES_WRITTEN, PYI_UNIT_BYTES, false, false, WRITTEN, NULL },
	{ "fs.bytes_read", PYI_EV_BYTES_READ, PYI_UNIT_BYTES, false, false, PYI_EV_BIT(PYI_EV_BYTES_READ), NULL },
	{ "time.elapsed", PYI_VALUE_ELAPSED, PYI_UNIT_TIME, false, false, 0, NULL },
	{ "event.port", PYI_VALUE_PORT, PYI_UNIT_COUNT, false, false, ADDRESSED, NULL },
	{ "proc.forks", 0, PYI_UNIT_COUNT, false, false, 0, "'limits: {pids: ...}' bounds processes and threads" },
	{ "cpu.time", 0, PYI_UNIT_TIME, false, false, 0, "'limits: {cpu_time: ...}' bounds it" },
};
/* clang-format on */
const size_t pyi_n_contract_fields = PYI_ARRAY_SIZE(pyi_contract_fields);

_Static_assert(PYI_ARRAY_SIZE(pyi_contract_fields) <= PYI_CONTRACT_NAMES_MAX, "names");

const struct pyi_contract_field *pyi_contract_field_at(unsigned int field)
{
	for (size_t i = 0; i < pyi_n_contract_fields; i++)
		if (pyi_contract_fields[i].field == field && !pyi_contract_fields[i].instead)
			return &pyi_contract_fields[i];
	return NULL;
}

const char *pyi_contract_field_name(unsigned int field)
{
	const struct pyi_contract_field *found = pyi_contract_field_at(field);

	return found ? found->name : NULL;
}
