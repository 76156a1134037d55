#!/bin/sh
# SPDX-License-Identifier: MIT
#
# One layer taken away at a time, by an outer filter that makes its system calls fail or by hiding what it needs:
# `hardened` refuses before anything runs, in one line that names the layer and what to do; `compatibility` runs, and
# the result lists the layer as off with the reason. Never silently less.
. "${0%/*}/lib.sh"

need helper:denysys
deny=$HELPERS/denysys
has root && is_root=1 || is_root=

# without LAYER NAME PREFIX... -- RUN-ARGUMENTS...
without() {
	layer=$1 name=$2
	shift 2
	rm -f r.json
	run "$TESTS/cli/layered.sh" hardened "$@"
	exits 125 "$name: hardened refuses"
	is "$out" "" "$name: nothing ran"
	is "$(printf '%s\n' "$err" | wc -l)" 1 "$name: one line"
	like "$err" "^pyisolate: .*$layer" "$name: it names the layer"
	like "$err" "compatibility|doctor|enable|boot|mount|kernel|sysctl|root|needs|--" "$name: and the next step"
	is "$(member r.json reason)" setup "$name: the result says set-up"

	rm -f r.json
	run "$TESTS/cli/layered.sh" compatibility "$@"
	exits 0 "$name: compatibility runs"
	is "$out" ran "$name: the guest ran"
	is "$(member r.json "layers.$layer.state")" off "$name: the result lists it as off"
	isnt "$(member r.json "layers.$layer.why")" "" "$name: and why"
	is "$err" "" "$name: without -v nothing is said"
	run "$TESTS/cli/layered.sh" "compatibility -v" "$@"
	contains "$err" "$layer" "$name: with -v stderr names it"

	run "$TESTS/cli/layered.sh" "compatibility --require $layer" "$@"
	exits 125 "$name: --require refuses"
	contains "$err" "$layer" "$name: and names it"
}

if [ -n "$is_root" ]; then
	run "$TESTS/cli/layered.sh" hardened --run
	exits 0 "with every layer, hardened runs" || :
	is "$out" ran "and the guest with it"
	for layer in namespaces landlock seccomp process cgroup; do
		is "$(member r.json "layers.$layer.state")" on "$layer is on"
	done
	without landlock "no Landlock at boot" "$deny" landlock_create_ruleset=EOPNOTSUPP -- --run
	without landlock "no Landlock in the kernel" "$deny" landlock_create_ruleset=ENOSYS -- --run
	without seccomp "no seccomp filters" "$deny" seccomp=EINVAL,prctl:SET_SECCOMP=EINVAL -- --run
	without cgroup "no control groups" unshare -m sh -c \
		'mount -t tmpfs none /sys/fs/cgroup && exec "$@"' sh --run --memory 64MiB
	without namespaces "no namespaces" "$deny" \
		clone3=ENOSYS,clone:+NEWNS+NEWPID+NEWUSER+NEWIPC+NEWNET+NEWUTS=EPERM,unshare=EPERM -- --run
	without namespaces "no mount API" "$deny" open_tree=ENOSYS,move_mount=ENOSYS,mount_setattr=ENOSYS -- --run
	without process "no PR_SET_MDWE" "$deny" prctl:SET_MDWE=EINVAL -- --run
	if has bpf-cgroup; then
		# Without it a rule about addresses cannot hold at all: no mode runs such a policy.
		for rule in bpf=EPERM bpf=ENOSYS; do
			for mode in hardened compatibility; do
				run "$TESTS/cli/layered.sh" $mode "$deny" $rule -- --run --allow-net 127.0.0.1:9
				exits 125 "$rule, network rules: $mode refuses"
				is "$out" "" "$rule: nothing ran"
				contains "$err" "127.0.0.1:9" "$rule: it names the network rule"
				contains "$err" bpf-cgroup "$rule: and the layer"
				is "$(printf '%s\n' "$err" | wc -l)" 1 "$rule: in one line"
			done
			run "$TESTS/cli/layered.sh" hardened "$deny" $rule -- --run
			is "$code/$out" 0/ran "$rule: a policy without network rules does not need it"
		done
	else
		skip "$why" "no BPF"
	fi
	mkdir ram
	if mount -t ramfs none ram; then
		at_exit "umount '$T/ram'"
		mkdir ram/d
		pyi run --mode compatibility --result r.json --allow-write "$T/ram/d" -c 'print("ran")'
		exits 0 "a file system without id mapping: compatibility runs"
		is "$(member r.json layers.idmap.state)" off "the result lists idmap as off"
		contains "$(member r.json layers.idmap.why)" "$T/ram/d" "and which path"
	fi

	# A system call that fails where it was not probed: refused as well, never skipped.
	for rule in seccomp=ENOMEM prctl:SET_NO_NEW_PRIVS=EINVAL prctl:CAPBSET_DROP=EPERM prctl:SET_DUMPABLE=EINVAL \
		landlock_restrict_self=EINVAL landlock_add_rule=ENOMEM setresuid=EAGAIN setgroups=EPERM pivot_root=EINVAL \
		prlimit64=EPERM setsid=EPERM close_range=EINVAL; do
		run "$deny" "$rule" -- "$PYISOLATE" run --mode hardened -c 'print("ran")'
		if [ "$code" = 0 ]; then
			# Allowed only where another call does the same.
			case $rule in
			setsid* | close_range* | prlimit64*) is "$out" ran "$rule: done another way" ;;
			*) fail "$rule: hardened ran all the same" ;;
			esac
		else
			exits 125 "$rule: hardened refuses"
			is "$(printf '%s\n' "$err" | wc -l)" 1 "$rule: in one line"
			is "$out" "" "$rule: nothing ran"
		fi
	done
else
	run "$TESTS/cli/layered.sh" compatibility --run
	exits 0 "an ordinary user can run" || :
	for layer in landlock seccomp process; do
		is "$(member r.json "layers.$layer.state")" on "$layer is on"
	done
	like "$(member r.json layers.cgroup.state)" 'off|on|unused' "control groups are accounted for"
	if has userns; then
		is "$(member r.json layers.namespaces.state)" on "namespaces are on"
		without namespaces "no user namespaces" "$deny" clone3=ENOSYS,clone:+NEWUSER,unshare:+NEWUSER -- --run
	fi
	without landlock "no Landlock" "$deny" landlock_create_ruleset=EOPNOTSUPP -- --run
	without seccomp "no seccomp filters" "$deny" seccomp=EINVAL,prctl:SET_SECCOMP=EINVAL -- --run
fi

# With neither namespaces nor Landlock there is no sandbox: refused in every mode.
for mode in hardened compatibility dev; do
	run "$deny" landlock_create_ruleset=ENOSYS,clone3=ENOSYS,clone:+NEWUSER+NEWNS+NEWPID,unshare -- \
		"$PYISOLATE" run --mode $mode -c 'print("ran")'
	exits 125 "neither namespaces nor Landlock: $mode refuses"
	is "$out" "" "$mode: nothing ran"
	like "$err" '^pyisolate: .*(namespaces|landlock|Landlock)' "$mode: and says what is missing"
done

done_testing
