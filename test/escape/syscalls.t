#!/bin/sh
# SPDX-License-Identifier: MIT
#
# System calls that lead out of a sandbox, made by Python with ctypes and raw numbers.
. "${0%/*}/../cli/lib.sh"
. "$TESTS/escape/twin.sh"

sleep 300 &
victim=$!
at_exit "kill $victim"
sleep 0.1
stack=$(awk -F- '/\[stack\]/ { print "0x" $1 }' /proc/$victim/maps)

twin "ptrace" --outside "$victim" ptrace-parent
twin "process_vm_readv" --outside "$victim $stack" process-vm-readv
twin "pidfd_getfd" --outside "$victim" pidfd-getfd
twin "mount" mount-tmpfs
twin "new mount API: fsopen" fsopen
twin "new mount API: open_tree" open-tree
twin "new mount API: mount_setattr" mount-setattr
twin "unshare of a user namespace" unshare-user
twin "unshare of a mount namespace" unshare-mount
twin "unshare of a network namespace" unshare-net
twin "setns" --outside "$victim" setns
twin "clone with a user namespace" clone-newuser
twin "clone with a mount namespace" clone-newns
twin "clone3 with a user namespace" clone3
twin "bpf" bpf
twin "perf_event_open" perf-event-open
twin "userfaultfd" userfaultfd
twin "io_uring" io-uring
twin "keyctl" keyctl
twin "open_by_handle_at" open-by-handle-at
twin "kexec" kexec
twin "personality" personality
twin "chroot" chroot
twin "a kernel module" init-module
twin "the kernel's log" kernel-log
twin "the host's name" sethostname
twin "real-time priority" sched-fifo
twin "fanotify" fanotify
twin "quotactl" quotactl
twin "a nested seccomp listener" seccomp-listener
twin "the x32 entry" x32
twin "machine code through int 0x80" int80
twin "writable and executable memory" rwx-memory
twin "written memory made executable" make-executable
twin "memfd and execveat" --args /proc/self/exe memfd-exec

done_testing
