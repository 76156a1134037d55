/* SPDX-License-Identifier: (MIT OR GPL-2.0-only) */
/* The hooks for files and names. */
#ifndef PYI_LSM_FILES_BPF_H
#define PYI_LSM_FILES_BPF_H

#include "lsm_path.bpf.h"

SEC("lsm/file_open")
int BPF_PROG(on_file_open, struct file *file)
{
	struct question q = { .hook = PYI_HOOK_OPEN };
	enum entry entry = enter(&q.who);
	enum kind kind;

	if (entry == PASS)
		return 0;
	if (file->f_flags & FMODE_EXEC_FLAG) {
		q.hook = PYI_HOOK_EXEC;
		q.need = PYI_PATH_EXEC;
		q.is_part = 1; /* it is executed when on_bprm_check says so */
	} else {
		q.need = (file->f_mode & FMODE_READ ? PYI_PATH_READ : 0) |
			 (file->f_mode & FMODE_WRITE ? PYI_PATH_WRITE : 0);
		/* Neither: opened for ioctl(2), which the kernel lets do only those who may do both. */
		if (!q.need)
			q.need = PYI_PATH_READ | PYI_PATH_WRITE;
	}
	kind = classify(file->f_path.dentry, file->f_path.mnt);
	if (entry == REFUSE || kind == NEVER)
		return refuse_path(0, &q, deny());
	if (kind == BEHIND_ANOTHER)
		return 0;
	if (q.need & PYI_PATH_EXEC && is_self(&q.who, file, 1))
		return 0;
	if (kind == NO_PATH)
		return q.need & PYI_PATH_EXEC ? refuse_path(0, &q, deny()) : 0;
	q.is_dir = (file->f_inode->i_mode & S_IFMT) == S_IFDIR;
	return check_path(&file->f_path, &q);
}

/* The program itself, a script's interpreter, and so on: each was opened to be executed, and here is what it became. */
SEC("lsm/bprm_check_security")
int BPF_PROG(on_bprm_check, struct linux_binprm *bprm)
{
	struct question q = { .hook = PYI_HOOK_EXEC, .need = PYI_PATH_EXEC };
	enum entry entry = enter(&q.who);
	struct file *file = bprm->file;

	if (entry == PASS)
		return 0;
	if (entry == REFUSE)
		return refuse_path(0, &q, deny());
	if (is_self(&q.who, file, 0))
		return 0;
	if (classify(file->f_path.dentry, file->f_path.mnt) != BY_PATH)
		return refuse_path(0, &q, deny());
	return check_path(&file->f_path, &q);
}

/* As PR_SET_MDWE: nothing both written and executed; and what is mapped to be executed may be executed. */
SEC("lsm/mmap_file")
int BPF_PROG(on_mmap_file, struct file *file, unsigned long asked, unsigned long prot)
{
	struct question q = { .hook = PYI_HOOK_MAP, .need = PYI_PATH_EXEC };
	enum entry entry;

	if (!(prot & PROT_EXEC))
		return 0;
	entry = enter(&q.who);
	if (entry == PASS)
		return 0;
	if (entry == REFUSE || (q.who.flags & PYI_ASSIGN_WX && prot & PROT_WRITE)) {
		record_surface(q.who.cgroup, PYI_SURFACE_MEMORY);
		return deny();
	}
	if (!file || is_self(&q.who, file, 0))
		return 0;
	switch (classify(file->f_path.dentry, file->f_path.mnt)) {
	case BY_PATH:
		return check_path(&file->f_path, &q);
	case NO_PATH: /* a memfd mapped twice is how ctypes makes its callbacks; PR_SET_MDWE lets it pass, too */
	case BEHIND_ANOTHER:
		return 0;
	case NEVER:
		break;
	}
	return refuse_path(0, &q, deny());
}

SEC("lsm/file_mprotect")
int BPF_PROG(on_file_mprotect, struct vm_area_struct *vma, unsigned long asked, unsigned long prot)
{
	struct subject who = {};
	enum entry entry;

	if (!(prot & PROT_EXEC))
		return 0;
	entry = enter(&who);
	if (entry == PASS || (entry == JUDGE && !(who.flags & PYI_ASSIGN_WX)))
		return 0;
	if (entry == JUDGE && !(prot & PROT_WRITE) && vma->vm_flags & VM_EXEC)
		return 0;
	record_surface(who.cgroup, PYI_SURFACE_MEMORY);
	return deny();
}

SEC("lsm/path_mknod")
int BPF_PROG(on_mknod, struct path *dir, struct dentry *name, umode_t mode)
{
	struct subject who = {};

	if (((mode & S_IFMT) == S_IFCHR || (mode & S_IFMT) == S_IFBLK) && enter(&who) != PASS) {
		struct question q = { .who = who, .hook = PYI_HOOK_CREATE, .need = PYI_PATH_WRITE };

		return refuse_path(0, &q, deny());
	}
	return check_name(dir, name, PYI_HOOK_CREATE);
}

SEC("lsm/path_unlink")
int BPF_PROG(on_unlink, struct path *dir, struct dentry *name)
{
	return check_name(dir, name, PYI_HOOK_UNLINK);
}

SEC("lsm/path_mkdir")
int BPF_PROG(on_mkdir, struct path *dir, struct dentry *name)
{
	return check_name(dir, name, PYI_HOOK_MKDIR);
}

SEC("lsm/path_rmdir")
int BPF_PROG(on_rmdir, struct path *dir, struct dentry *name)
{
	return check_name(dir, name, PYI_HOOK_RMDIR);
}

SEC("lsm/path_symlink")
int BPF_PROG(on_symlink, struct path *dir, struct dentry *name)
{
	return check_name(dir, name, PYI_HOOK_SYMLINK);
}

SEC("lsm/path_truncate")
int BPF_PROG(on_truncate, struct path *path)
{
	return check_change(path, PYI_HOOK_TRUNCATE);
}

SEC("lsm/file_truncate")
int BPF_PROG(on_file_truncate, struct file *file)
{
	return check_change(&file->f_path, PYI_HOOK_TRUNCATE);
}

SEC("lsm/path_chmod")
int BPF_PROG(on_chmod, struct path *path)
{
	return check_change(path, PYI_HOOK_CHMOD);
}

SEC("lsm/path_chown")
int BPF_PROG(on_chown, struct path *path)
{
	return check_change(path, PYI_HOOK_CHOWN);
}

#endif
