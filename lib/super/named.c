/* SPDX-License-Identifier: MIT */
/* Finding, waiting for and stopping named sandboxes; see named.h. */
#include "super/named.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include "base/err.h"
#include "base/proc.h"
#include "base/util.h"
#include "kernel/sys.h"
#include "report/result.h"
#include "super/named_sweep.h"
#include "super/policy_store.h"
#include "super/registry.h"
#include "super/reload.h"
#include "super/watch.h"

/* After the guest was killed the supervisor removes groups, which may wait for the kernel for 5 s. */
enum { CLEAR_TIMEOUT_MS = 10000, KILL_TIMEOUT_MS = 5000, LOOK_MS = 500 };

int pyi_named_check_free(struct pyi_registry *registry, const char *name, struct pyi_err *err)
{
	struct pyi_abi_sandbox sandbox;
	struct pyi_err none = { 0 };
	int ret = pyi_registry_get(registry, name, &sandbox, &none);

	if (ret == -ENOENT || (ret == 0 && !pyi_sandbox_is_live(&sandbox)))
		return 0;
	if (ret < 0)
		return pyi_err_set(err, -ret, "%s", none.msg);
	return pyi_err_set(err, EEXIST, "there is a sandbox '%s' already: 'pyisolate stop %s' ends it",
			   name, name);
}

int pyi_named_pidfd(const struct pyi_abi_sandbox *sandbox, int *ret_fd, struct pyi_err *err)
{
	struct pyi_proc owner = { sandbox->owner.pid, sandbox->owner.start_ticks };
	struct pyi_abi_identity self;
	_cleanup_fd int fd = -1;
	int ret = pyi_registry_identify_self(&self, err);

	if (ret < 0)
		return ret;
	if (self.pid_ns != sandbox->owner.pid_ns)
		return pyi_err_set(err, EXDEV,
				   "it was started in another pid namespace: its "
				   "supervisor cannot be reached from here");
	fd = pyi_sys_pidfd_open(owner.pid);
	if (fd < 0 && errno != ESRCH)
		return pyi_err_sys(err, errno, "cannot watch process %d", (int)owner.pid);
	/* The pidfd holds on to one process: if that is ours now, it was ours when we opened it. */
	if (fd < 0 || self.boot != sandbox->owner.boot || !pyi_proc_is_alive(&owner))
		return pyi_err_set(err, ESRCH, "its supervisor is gone");
	*ret_fd = pyi_take_fd(&fd);
	return 0;
}

int pyi_named_find(struct pyi_registry *registry, const char *name,
		   struct pyi_abi_sandbox *ret_sandbox, struct pyi_err *err)
{
	int ret = pyi_registry_get(registry, name, ret_sandbox, err);

	struct pyi_err unused = { 0 };

	/* A reload that was cut off before it told anybody; one that is under way goes on. */
	if (ret == 0 && ret_sandbox->reload.generation)
		(void)pyi_reload_settle(registry, name, NULL, 0, ret_sandbox, &unused);
	if (ret < 0 || pyi_sandbox_has_ended(ret_sandbox) || pyi_sandbox_is_live(ret_sandbox))
		return ret;
	if (pyi_registry_mark_lost(registry, name, ret_sandbox)) {
		pyi_named_sweep();
		pyi_policy_store_remove(name);
	}
	return 0;
}

/* Until the process is gone: true; false after timeout_ms. -1: no limit. */
static bool wait_gone(int pidfd, int timeout_ms)
{
	struct pollfd poller = { .fd = pidfd, .events = POLLIN };
	int n;

	do
		n = poll(&poller, 1, timeout_ms);
	while (n < 0 && errno == EINTR);
	return n > 0;
}

static int lost(const char *name, struct pyi_err *err)
{
	return pyi_err_set(err, ESRCH, "sandbox '%s' was lost: its supervisor was killed", name);
}

static int end_of(struct pyi_registry *registry, const char *name,
		  const struct pyi_abi_identity *owner, int *ret_code, struct pyi_err *err)
{
	struct pyi_abi_sandbox now;
	int ret = pyi_named_find(registry, name, &now, err);

	if (ret < 0)
		return ret;
	if (now.owner.pid == owner->pid && now.owner.start_ticks == owner->start_ticks) {
		if (now.state == PYI_STATE_LOST || !pyi_sandbox_has_ended(&now))
			return lost(name, err);
		*ret_code = now.end.exit_code;
		return 0;
	}
	/* The name is another's by now, whose entry says how ours ended. */
	if (now.previous.pid != owner->pid || now.previous.start_ticks != owner->start_ticks)
		return pyi_err_set(err, ESRCH,
				   "the name '%s' was used twice since: its exit code is "
				   "not known any more",
				   name);
	*ret_code = now.previous.exit_code;
	return 0;
}

int pyi_named_wait(struct pyi_registry *registry, const char *name, int *ret_code, struct pyi_err *err)
{
	struct pyi_abi_sandbox sandbox;
	_cleanup_fd int pidfd = -1;
	int ret = pyi_named_find(registry, name, &sandbox, err);

	if (ret < 0)
		return ret;
	if (!pyi_sandbox_has_ended(&sandbox)) {
		ret = pyi_named_pidfd(&sandbox, &pidfd, err);
		if (ret < 0 && ret != -ESRCH)
			return pyi_err_add(err, "sandbox '%s'", name);
		if (ret == 0)
			wait_gone(pidfd, -1);
	}
	return end_of(registry, name, &sandbox.owner, ret_code, err);
}

static void set_stopped(struct pyi_abi_sandbox *sandbox, void *arg)
{
	if (pyi_sandbox_has_ended(sandbox) && sandbox->state != PYI_STATE_LOST)
		return;
	sandbox->state = PYI_STATE_CANCELLED;
	sandbox->end.end_ns = pyi_registry_now_ns();
	sandbox->end.reason = PYI_REASON_STOPPED;
	sandbox->end.signal = SIGKILL;
	sandbox->end.exit_code = 128 + SIGKILL;
}

/* The supervisor does not do what it was told: it was stopped, or hangs. Its guest goes with it. */
static int kill_supervisor(struct pyi_registry *registry, const char *name,
			   const struct pyi_abi_sandbox *sandbox, int pidfd, struct pyi_err *err)
{
	int ret;

	if (pyi_sys_pidfd_send_signal(pidfd, SIGKILL) < 0 && errno != ESRCH)
		return pyi_err_sys(err, errno, "cannot kill the supervisor of '%s'", name);
	if (!wait_gone(pidfd, KILL_TIMEOUT_MS))
		return pyi_err_set(err, ETIMEDOUT,
				   "the supervisor of '%s' (process %d) cannot be killed", name,
				   (int)sandbox->owner.pid);
	ret = pyi_registry_change(registry, name, &sandbox->owner, set_stopped, NULL, err);
	pyi_named_sweep();
	return ret == -ESRCH ? 0 : ret;
}

/* Is it stopped (SIGSTOP, a debugger)? Then it will not answer. */
static bool is_stopped(const struct pyi_abi_sandbox *sandbox)
{
	char state = pyi_proc_state(sandbox->owner.pid);

	return state == 'T' || state == 't';
}

int pyi_named_stop(struct pyi_registry *registry, const char *name, uint64_t timeout_ms,
		   bool *ret_was_live, struct pyi_err *err)
{
	struct pyi_abi_sandbox sandbox;
	_cleanup_fd int pidfd = -1;
	int ret = pyi_named_find(registry, name, &sandbox, err);
	int waited_ms;

	if (ret < 0)
		return ret;
	*ret_was_live = false;
	if (pyi_sandbox_has_ended(&sandbox))
		return 0;
	ret = pyi_named_pidfd(&sandbox, &pidfd, err);
	if (ret < 0)
		return ret == -ESRCH ? 0 : pyi_err_add(err, "sandbox '%s'", name);
	*ret_was_live = true;
	if (pyi_sys_pidfd_queue(pidfd, SIGTERM, PYI_WATCH_STOP | timeout_ms) < 0)
		return errno == ESRCH
			       ? 0
			       : pyi_err_sys(err, errno, "cannot signal the supervisor of '%s'", name);
	if (wait_gone(pidfd, (int)timeout_ms))
		return 0;
	for (waited_ms = 0; waited_ms < CLEAR_TIMEOUT_MS; waited_ms += LOOK_MS) {
		if (wait_gone(pidfd, LOOK_MS))
			return 0;
		if (is_stopped(&sandbox))
			break;
	}
	return kill_supervisor(registry, name, &sandbox, pidfd, err);
}
