#!/bin/sh
# SPDX-License-Identifier: MIT
#
# leaks.sh snapshot FILE: note what sandboxes could leave behind on this host.
# leaks.sh compare FILE: TAP, a test for each kind: is there more now than in the note? Ends of runs are waited for.
# Of processes only those with $PYI_LEAKS_OF among their arguments, if it is set: other tests may be running.
#
# The programs and maps pinned under /sys/fs/bpf/pyisolate/v1 and the network namespaces under /run/pyisolate/net are
# shared by all runs and stay, as does the programs' parent cgroup. What a live process of another checkout's tests owns is not ours to judge.
set -u

# A cgroup "run-PID-START" or "run-PID-START-N" belongs to the process with this pid and start time.
owner_lives() {
	id=${1##*/run-}
	pid=${id%%-*}
	started=${id#*-}
	[ -r "/proc/$pid/stat" ] || return 1
	[ "$(sed 's/^.*) //' "/proc/$pid/stat" 2>/dev/null | cut -d' ' -f20)" = "${started%%-*}" ]
}

list() {
	case $1 in
	cgroups)
		find /sys/fs/cgroup -type d -path '*pyisolate*' -name 'run-*' 2>/dev/null | while read -r dir; do
			owner_lives "$dir" || echo "$dir"
		done
		;;
	mounts) grep -i 'pyi' /proc/self/mountinfo | grep -v ' /run/pyisolate/net/[0-9] ' | cut -d' ' -f3- ;;
	pins) find /sys/fs/bpf -mindepth 1 2>/dev/null | grep -v '^/sys/fs/bpf/[a-z]*\.debug$\|^/sys/fs/bpf/pyisolate\(/v[0-9]*\(/.*\)\{0,1\}\)\{0,1\}$' ;;
	processes)
		for p in /proc/[0-9]*; do
			exe=$(readlink "$p/exe" 2>/dev/null) || continue
			[ "${exe%% *}" = "${PYISOLATE-}" ] || continue
			args=$(tr '\000\n' '  ' <"$p/cmdline" 2>/dev/null)
			case $args in *"${PYI_LEAKS_OF-}"*) echo "${p#/proc/} $args" ;; esac
		done
		;;
	files)
		find /dev/shm -mindepth 1 -maxdepth 1 2>/dev/null
		find /tmp /var/tmp /run -mindepth 1 -maxdepth 1 -name '*pyi*' 2>/dev/null | grep -v 'pyitest\.\|pyicheck\.\|^/run/pyisolate$'
		;;
	images) find /var/cache/pyisolate "$HOME/.cache/pyisolate" -mindepth 1 2>/dev/null ;;
	namespaces) ls /run/netns 2>/dev/null ;;
	ipc) cat /proc/sysvipc/shm /proc/sysvipc/sem /proc/sysvipc/msg 2>/dev/null | awk '{ print $1, $2 }' ;;
	esac | sort
	return 0
}

kinds="cgroups mounts pins processes files images namespaces ipc"
case $1 in
snapshot)
	for kind in $kinds; do
		list "$kind" | sed "s/^/$kind /"
	done >"$2"
	;;
compare)
	n=0
	failed=0
	for kind in $kinds; do
		n=$((n + 1))
		for _ in 1 2 3 4 5 6 7 8 9 10; do
			more=$(list "$kind" | sed "s/^/$kind /" | grep -Fxv -f "$2")
			[ -n "$more" ] || break
			sleep 0.5
		done
		if [ -z "$more" ]; then
			echo "ok $n - no $kind left behind"
		else
			echo "not ok $n - no $kind left behind"
			echo "$more" | head -n 20 | sed 's/^/# /'
			failed=1
		fi
	done
	echo "1..$n"
	exit $failed
	;;
esac
