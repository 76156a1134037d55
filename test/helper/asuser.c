/* SPDX-License-Identifier: MIT */
/* asuser UID GID COMMAND...: drop root for good (no groups, no capabilities), then run the command. */
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	gid_t gid;
	uid_t uid;

	if (argc < 4)
		return 99;
	uid = (uid_t)strtoul(argv[1], NULL, 10);
	gid = (gid_t)strtoul(argv[2], NULL, 10);
	if (setgroups(0, NULL) != 0 || setresgid(gid, gid, gid) != 0 || setresuid(uid, uid, uid) != 0) {
		perror("asuser");
		return 99;
	}
	execvp(argv[3], argv + 3);
	perror(argv[3]);
	return 127;
}
