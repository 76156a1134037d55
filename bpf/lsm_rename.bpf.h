/* SPDX-License-Identifier: (MIT OR GPL-2.0-only) */
/*
 * New names for what is there. A name is more than itself: with a directory everything below it gets other names, and
 * so would other rules hold for it. A directory may be renamed only where what the policy says of everything below is
 * the same before and after, or is one verdict for all of it. A file may get a second name only in its own directory:
 * of others the hook does not know where the first one is. EXDEV is what programs take as a call to copy instead.
 */
#ifndef PYI_LSM_RENAME_BPF_H
#define PYI_LSM_RENAME_BPF_H

#include "lsm_path.bpf.h"

#define RENAME_EXCHANGE 2

/* The states of everything below the old name and the new one. */
static __always_inline int may_move_below(__u32 page, __u32 from, __u32 to)
{
	__u32 below = next_state(page, from, '/');

	return below == next_state(page, to, '/') || final_of(page, below) >> PYI_FINAL_SINK_SHIFT & 1;
}

static __always_inline int is_dir(struct dentry *dentry)
{
	struct inode *inode = dentry->d_inode;

	return inode && (inode->i_mode & S_IFMT) == S_IFDIR;
}

struct move {
	struct path *from_dir;
	struct dentry *from;
	struct path *to_dir;
	struct dentry *to;
};

static __always_inline int check_move(struct room *room, struct question *q, const struct move *m,
				      int exchange)
{
	__u32 page = q->who.paths, from, to;
	__u16 gone;

	if (!put_name(room, m->from_dir, m->from))
		return refuse_path(room, q, deny());
	from = walk(room, page);
	q->slots = gone = slots_of(page, from);
	if (!judge(room, q, final_of(page, from)))
		return deny();
	if (!put_name(room, m->to_dir, m->to))
		return refuse_path(room, q, deny());
	to = walk(room, page);
	q->slots = slots_of(page, to);
	if (!judge(room, q, final_of(page, to)))
		return deny();
	if ((is_dir(m->from) && !may_move_below(page, from, to)) ||
	    (exchange && is_dir(m->to) && !may_move_below(page, to, from))) {
		record_path(room, q, PYI_EVENT_NO_RULE, EXDEV, 0);
		return deny_crossing();
	}
	q->gone = gone;
	return settle(room, q);
}

SEC("lsm/path_rename")
int BPF_PROG(on_rename, struct path *from_dir, struct dentry *from, struct path *to_dir,
	     struct dentry *to, unsigned int flags)
{
	struct question q = { .hook = PYI_HOOK_RENAME, .need = PYI_PATH_WRITE, .is_part = 1 };
	const struct move m = { from_dir, from, to_dir, to };
	int ret;
	struct room *room = begin_name(from_dir, &q, &ret);

	if (!room)
		return ret;
	ret = check_move(room, &q, &m, flags & RENAME_EXCHANGE);
	leave_room(room);
	return ret;
}

static __always_inline int check_link(struct room *room, struct question *q, struct dentry *from,
				      struct path *to_dir, struct dentry *to)
{
	/* A file that never had a name (O_TMPFILE) is the guest's own. */
	int has_name = from->d_hash.pprev != 0, may;
	__u16 made;

	if (!put_name(room, to_dir, to))
		return refuse_path(room, q, deny());
	if (!ask(room, q))
		return deny();
	made = q->slots;
	if (!has_name)
		return settle(room, q);
	if (from->d_parent != to_dir->dentry) {
		record_path(room, q, PYI_EVENT_NO_RULE, EXDEV, 0);
		return deny_crossing();
	}
	if (!put_name(room, to_dir, from))
		return refuse_path(room, q, deny());
	may = ask(room, q);
	q->slots = made; /* what is counted is the name that is made */
	return may ? settle(room, q) : deny();
}

SEC("lsm/path_link")
int BPF_PROG(on_link, struct dentry *from, struct path *to_dir, struct dentry *to)
{
	struct question q = { .hook = PYI_HOOK_LINK, .need = PYI_PATH_WRITE, .is_part = 1 };
	int ret;
	struct room *room = begin_name(to_dir, &q, &ret);

	if (!room)
		return ret;
	ret = check_link(room, &q, from, to_dir, to);
	leave_room(room);
	return ret;
}

#endif
