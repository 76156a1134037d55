/* SPDX-License-Identifier: MIT */
/* Where root's runs keep what is to outlive them: a directory that nobody else may even look into. */
#ifndef PYI_KERNEL_RUN_DIR_H
#define PYI_KERNEL_RUN_DIR_H

#define PYI_RUN_DIR "/run/pyisolate"

/* Open a directory that only root can have filled, with no symlink on the way; -1 and errno. Owned by the caller. */
int pyi_run_dir_open(const char *path);

#endif
