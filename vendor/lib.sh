# SPDX-License-Identifier: MIT
# shellcheck shell=sh
#
# What the recipes of this folder share: where the cache is, how a recipe is named, where Debian's mirror is.

# Readable by all where root made it: tests run parts of it as an ordinary user.
if [ "$(id -u)" = 0 ]; then
	cache=${PYISOLATE_CACHE:-/var/cache/pyisolate-build}
else
	cache=${PYISOLATE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/pyisolate-build}
fi

say() { echo "vendor: $*" >&2; }
die() { say "$*"; exit 1; }

# recipe_hash FILE... -- WORD...: a short name for what the files hold and the words say, wherever the checkout is.
recipe_hash() {
	{
		while [ $# -gt 0 ] && [ "$1" != -- ]; do
			cat "$1"
			shift
		done
		echo "$@"
	} | sha256sum | cut -c1-16
}

need_root() { [ "$(id -u)" = 0 ] || die "$1 needs root: run 'sudo make' once, later builds use the cache"; }

# debian_mirror LABEL: the address apt is configured with, for Debian or Debian-Security; empty when there is none.
debian_mirror() {
	# shellcheck disable=SC2016 # the dollars are apt's
	apt-get indextargets --format '$(LABEL) $(SITE)' 'Created-By: Packages' |
		awk -v label="$1" '$1 == label { print $2; exit }'
}

# install_on_host PACKAGE...: with apt, only what is missing.
install_on_host() {
	missing=
	for p in "$@"; do
		dpkg-query -W -f '${Status}' "$p" 2>/dev/null | grep -q 'ok installed' || missing="$missing $p"
	done
	[ -n "$missing" ] || return 0
	need_root "installing$missing"
	say "installing$missing"
	apt-get -qq update >&2 || true
	# shellcheck disable=SC2086 # a list
	DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends -y $missing >/dev/null ||
		die "apt-get could not install$missing"
}
