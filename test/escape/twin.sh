# SPDX-License-Identifier: MIT
# shellcheck shell=sh
#
# What the escape tests share. Each attempt of attack.py runs twice: outside, with the host's python3, where it must
# succeed, and inside a sandbox, where it must be refused for the right reason.
#
#	twin WHAT [--want ERE] [--outside ARGS] [--inside ARGS] [--guest OPTIONS] NAME
#		WHAT describes the attempt. NAME is one of attack.py's. ARGS are its arguments, OPTIONS are pyisolate's;
#		both are split at blanks. --want is what the refusal looks like, $denied unless told. An attempt that
#		cannot succeed outside either is skipped with what the host said.
#	outside NAME ARG...	the attempt outside; sets $code, $out, $err
#	inside OPTIONS -- NAME ARG...	the attempt inside

# shellcheck disable=SC2034 # used by the tests
denied='^refused: (EPERM|EACCES|ENOSYS|EROFS)$'
absent='^refused: (ENOENT|EPERM|EACCES|ENOSYS)$'

python=/usr/bin/python3
[ -x "$python" ] || python=$(command -v python3) || skip_all "the twins outside need python3"
cat "$TESTS"/escape/attack_[0-9]_*.py >"$T/attack.py"
attack=$T/attack.py

# Outside, mounts and the like happen in a mount namespace of their own, so that nothing stays and nobody notices. What
# an ordinary user may not do, the same user as root of a user namespace may.
outside() {
	if [ "$(id -u)" = 0 ]; then
		run unshare --mount --propagation private "$python" -I "$attack" "$@"
		return
	fi
	run "$python" -I "$attack" "$@"
	if [ "$code" = 1 ] && has userns; then
		run unshare --user --map-root-user --mount --uts --net "$python" -I "$attack" "$@"
	fi
}

inside() {
	options=
	while [ "$1" != -- ]; do
		options="$options $1"
		shift
	done
	shift
	# shellcheck disable=SC2086 # a list
	run "$PYISOLATE" run --timeout 30s $options "$attack" "$@"
}

# refused WHAT [ERE]: about the last run inside.
refused() {
	if [ "$code" = 159 ] || { [ "$code" = 1 ] && printf '%s\n' "$out" | grep -Eq -e "${2:-$denied}"; }; then
		pass "$1"
	else
		fail "$1"
		diag "exit code $code instead of a refusal like ${2:-$denied}"
		diag "stdout: $out"
		diag "stderr: $(printf '%s\n' "$err" | tail -n 12)"
	fi
}

succeeded() {
	if [ "$code" = 0 ] && [ "${out#succeeded}" != "$out" ]; then pass "$1"; else
		fail "$1"
		diag "exit code $code, stdout: $out"
		diag "stderr: $(printf '%s\n' "$err" | tail -n 12)"
	fi
}

twin() {
	twin_what=$1 twin_want=$denied twin_outside='' twin_inside='' twin_options=''
	shift
	while [ $# -gt 1 ]; do
		case $1 in
		--want) twin_want=$2 ;;
		--outside) twin_outside=$2 ;;
		--inside) twin_inside=$2 ;;
		--args) twin_outside=$2 twin_inside=$2 ;;
		--guest) twin_options=$2 ;;
		*) echo "Bail out! twin: $1" ;;
		esac
		shift 2
	done
	# shellcheck disable=SC2086 # lists
	outside "$1" $twin_outside
	if [ "$code" = 0 ]; then
		pass "$twin_what: works outside"
	else
		skip "this host itself says ${out:-$(printf '%s\n' "$err" | tail -n 1)}" "$twin_what: works outside"
	fi
	# shellcheck disable=SC2086 # lists
	inside $twin_options -- "$1" $twin_inside
	refused "$twin_what: refused inside" "$twin_want"
}
