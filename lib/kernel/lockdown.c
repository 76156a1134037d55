/* SPDX-License-Identifier: MIT */
/* What a process gives up for good; see lockdown.h. Each step is read back: a call that lied is a refusal. */
#include "kernel/lockdown.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/prctl.h>
#include <linux/securebits.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "base/err.h"
#include "base/fault.h"
#include "base/util.h"
#include "kernel/sys.h"
#include "plan/plan.h"

enum { CAP_WORDS = 2, CAP_MAX = 64, KERNEL_SIGNALS = 64, KERNEL_SIGSET_BYTES = 8 };

static const unsigned int locked_securebits = SECBIT_NOROOT | SECBIT_NOROOT_LOCKED |
					      SECBIT_NO_SETUID_FIXUP_LOCKED |
					      SECBIT_KEEP_CAPS_LOCKED | SECBIT_NO_CAP_AMBIENT_RAISE |
					      SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED;

static bool has_setpcap(const struct __user_cap_data_struct data[CAP_WORDS])
{
	return data[CAP_TO_INDEX(CAP_SETPCAP)].effective & CAP_TO_MASK(CAP_SETPCAP);
}

int pyi_lockdown_bounding(struct pyi_err *err)
{
	struct __user_cap_data_struct data[CAP_WORDS];
	int cap, bits;

	if (PYI_LEFT_OUT("process"))
		return 0;
	if (PYI_FAULT(300, EPERM) || pyi_sys_capget(data) < 0)
		return pyi_err_sys(err, errno, "cannot read the capabilities");
	if (!has_setpcap(data))
		return 0;
	for (cap = 0; cap < CAP_MAX; cap++) {
		if (!PYI_FAULT(301, EPERM) && prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) == 0)
			continue;
		if (errno == EINVAL)
			break; /* past the last one this kernel knows; what is left shows below */
		return pyi_err_sys(err, errno, "cannot drop capability %d from the bounding set", cap);
	}
	/* On top of what is set: the invoker may have locked bits that cannot be taken back. */
	bits = prctl(PR_GET_SECUREBITS, 0, 0, 0, 0);
	if (PYI_FAULT(302, EPERM) || bits < 0 ||
	    prctl(PR_SET_SECUREBITS, (unsigned int)bits | locked_securebits, 0, 0, 0) < 0)
		return pyi_err_sys(err, errno, "cannot lock the secure bits");
	for (cap = 0; cap < CAP_MAX; cap++) {
		int is_set = prctl(PR_CAPBSET_READ, cap, 0, 0, 0);

		if (is_set < 0)
			break;
		if (is_set)
			return pyi_err_set(err, EPERM, "capability %d is still in the bounding set",
					   cap);
	}
	return 0;
}

int pyi_lockdown_ids(uid_t uid, gid_t gid, bool keep_groups, struct pyi_err *err)
{
	uid_t uids[3];
	gid_t gids[3];

	if (PYI_LEFT_OUT("process"))
		return 0;
	if (uid == (uid_t)-1 || gid == (gid_t)-1)
		return pyi_err_set(err, EINVAL, "an id of the guest is not set");
	if (!keep_groups && (PYI_FAULT(310, EPERM) || pyi_sys_setgroups(0, NULL) < 0))
		return pyi_err_sys(err, errno, "cannot drop the supplementary groups");
	if (PYI_FAULT(311, EPERM) || pyi_sys_setresgid(gid, gid, gid) < 0)
		return pyi_err_sys(err, errno, "cannot become group %u", gid);
	if (PYI_FAULT(312, EPERM) || pyi_sys_setresuid(uid, uid, uid) < 0)
		return pyi_err_sys(err, errno, "cannot become user %u", uid);

	if (getresuid(&uids[0], &uids[1], &uids[2]) < 0 || getresgid(&gids[0], &gids[1], &gids[2]) < 0)
		return pyi_err_sys(err, errno, "cannot read the ids back");
	for (int i = 0; i < 3; i++)
		if (uids[i] != uid || gids[i] != gid)
			return pyi_err_set(err, EPERM, "the ids are %u:%u, not %u:%u as set",
					   uids[i], gids[i], uid, gid);
	if (!keep_groups && getgroups(0, NULL) != 0)
		return pyi_err_set(err, EPERM, "supplementary groups are left");
	return 0;
}

int pyi_lockdown_capabilities(struct pyi_err *err)
{
	struct __user_cap_data_struct data[CAP_WORDS] = { { 0 } };
	int ret;

	if (PYI_LEFT_OUT("process"))
		return 0;
	ret = pyi_lockdown_bounding(err);
	if (ret)
		return ret;
	/* EINVAL: a kernel without ambient capabilities. What is not inheritable cannot be ambient anyway. */
	if (PYI_FAULT(320, EPERM) ||
	    (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 && errno != EINVAL))
		return pyi_err_sys(err, errno, "cannot clear the ambient capabilities");
	if (PYI_FAULT(321, EPERM) || pyi_sys_capset(data) < 0)
		return pyi_err_sys(err, errno, "cannot drop the capabilities");
	if (PYI_FAULT(322, EPERM) || pyi_sys_capget(data) < 0)
		return pyi_err_sys(err, errno, "cannot read the capabilities back");
	for (int i = 0; i < CAP_WORDS; i++)
		if (data[i].effective | data[i].permitted | data[i].inheritable)
			return pyi_err_set(err, EPERM, "capabilities are left");
	return 0;
}

int pyi_lockdown_no_new_privs(struct pyi_err *err)
{
	if (PYI_LEFT_OUT("process"))
		return 0;
	if (PYI_FAULT(330, EINVAL) || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return pyi_err_sys(err, errno, "cannot set no_new_privs");
	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
		return pyi_err_set(err, EPERM, "no_new_privs did not take effect");
	return 0;
}

int pyi_lockdown_not_dumpable(struct pyi_err *err)
{
	if (PYI_LEFT_OUT("process"))
		return 0;
	if (PYI_FAULT(331, EINVAL) || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return pyi_err_sys(err, errno, "cannot make the process undumpable");
	return 0;
}

int pyi_lockdown_mdwe(struct pyi_err *err)
{
	if (PYI_FAULT(332, EINVAL) || prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0) < 0)
		return pyi_err_sys(err, errno,
				   "cannot refuse writable and executable memory (PR_SET_MDWE)");
	return 0;
}

int pyi_lockdown_rlimits(const struct pyi_rlimit_row *rows, size_t n, struct pyi_err *err)
{
	struct rlimit limit;

	for (size_t i = 0; i < n; i++) {
		if (PYI_FAULT(340, EINVAL) ||
		    getrlimit((__rlimit_resource_t)rows[i].resource, &limit) < 0)
			return pyi_err_sys(err, errno, "cannot read resource limit %d",
					   rows[i].resource);
		if (rows[i].hard < limit.rlim_max)
			limit.rlim_max = rows[i].hard;
		limit.rlim_cur = rows[i].soft < limit.rlim_max ? rows[i].soft : limit.rlim_max;
		if (PYI_FAULT(341, EPERM) ||
		    setrlimit((__rlimit_resource_t)rows[i].resource, &limit) < 0)
			return pyi_err_sys(err, errno, "cannot set resource limit %d", rows[i].resource);
	}
	return 0;
}

/* Negative values become 0; others are the guest's to have. */
static int reset_oom_score(struct pyi_err *err)
{
	_cleanup_fd int fd = open("/proc/self/oom_score_adj", O_RDWR | O_CLOEXEC);
	char first;

	if (fd < 0 || read(fd, &first, 1) != 1 || first != '-')
		return 0;
	if (PYI_FAULT(360, EACCES) || pwrite(fd, "0", 1, 0) != 1)
		return pyi_err_sys(err, errno,
				   "cannot give up protection from the out-of-memory killer");
	return 0;
}

int pyi_lockdown_priority(struct pyi_err *err)
{
	const struct sched_param none = { 0 };
	int policy = sched_getscheduler(0);

	if (policy != SCHED_OTHER && policy != SCHED_BATCH && policy != SCHED_IDLE &&
	    (PYI_FAULT(361, EPERM) || sched_setscheduler(0, SCHED_OTHER, &none) < 0))
		return pyi_err_sys(err, errno, "cannot give up the real-time scheduling policy");
	if (getpriority(PRIO_PROCESS, 0) < 0 &&
	    (PYI_FAULT(362, EPERM) || setpriority(PRIO_PROCESS, 0, 0) < 0))
		return pyi_err_sys(err, errno, "cannot give up the negative nice value");
	return reset_oom_score(err);
}

static int close_between(unsigned int first, unsigned int last, struct pyi_err *err)
{
	if (first > last)
		return 0;
	if (PYI_FAULT(350, ENOSYS) || close_range(first, last, 0) < 0)
		return pyi_err_sys(err, errno, "cannot close inherited descriptors");
	return 0;
}

int pyi_lockdown_fds(const int *keep, size_t n, struct pyi_err *err)
{
	unsigned int first = STDERR_FILENO + 1;
	int ret;

	for (size_t i = 0; i < n; i++) {
		if (keep[i] < (int)first) {
			if (keep[i] > STDERR_FILENO)
				return pyi_err_set(err, EINVAL, "descriptors to keep are not in order");
			continue;
		}
		ret = close_between(first, (unsigned int)keep[i] - 1, err);
		if (ret)
			return ret;
		first = (unsigned int)keep[i] + 1;
	}
	return close_between(first, ~0U, err);
}

void pyi_lockdown_signals(void)
{
	/* The kernel's own struct, all zero: SIG_DFL. The C library would refuse the two signals it keeps to itself. */
	struct {
		void *handler;
		unsigned long flags;
		void *restorer;
		uint64_t mask;
	} default_action = { 0 };
	uint64_t none = 0;

	for (int signo = 1; signo <= KERNEL_SIGNALS; signo++)
		if (signo != SIGKILL && signo != SIGSTOP)
			syscall(SYS_rt_sigaction, signo, &default_action, NULL, KERNEL_SIGSET_BYTES);
	syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none, NULL, KERNEL_SIGSET_BYTES);
}
