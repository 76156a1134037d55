# SPDX-License-Identifier: MIT
# shellcheck shell=sh
#
# For the tests of images, after lib.sh: own_images gives the file a place of its own for them, empty, whatever the other
# files have; $I is its path. `start CODE [OPTION...]` runs one guest with -v and sets $image to "true" or "false", the
# start it had, besides what `run` sets. flip FILE OFFSET BIT changes one bit.

own_images() {
	if has root; then
		mount -t tmpfs -o mode=700,"${1:-size=512m}" none /var/cache/pyisolate || exit 1
		I=/var/cache/pyisolate
	else
		export XDG_CACHE_HOME="$T/images"
		mkdir "$XDG_CACHE_HOME"
		I=$XDG_CACHE_HOME/pyisolate
	fi
}

has_image() { [ -n "$(find "$I" -name "*-usual.image" 2>/dev/null)" ]; }
n_images() { find "$I" -name "*.image" | wc -l; }

start() {
	start_code=$1
	shift
	rm -f start.json
	run "$PYISOLATE" run -v --result start.json "$@" -c "$start_code"
	image=$(member start.json image)
	err=$(grep image "$ERR") # -v says more, where a host lacks something
}

flip() {
	flip_byte=$(od -An -tu1 -j "$2" -N 1 "$1" | tr -d ' ')
	# shellcheck disable=SC2059
	printf "\\$(printf %o $((flip_byte ^ (1 << $3))))" | dd of="$1" bs=1 seek="$2" conv=notrunc 2>/dev/null
}
