#!/bin/sh
# SPDX-License-Identifier: MIT
#
# private.sh COMMAND...: run it where what root's runs keep on a host is the tests' own: in a mount namespace with another
# /run/pyisolate and another /var/cache/pyisolate. The latter holds root's images (pyisolate-image(1)); an ordinary user's
# are in $XDG_CACHE_HOME, see cli/lib.sh. $PYI_TEST_IMAGES says which place they get:
#
#	a directory	its subdirectory root; user is for the ordinary user
#	none		one where nothing can be made: every guest starts normally
#	unset		a new, empty one, gone when the command has ended
set -eu

export PYI_PRIVATE=1
[ "$(id -u)" = 0 ] || exec "$@"
if [ -z "${PYI_PRIVATE_INNER-}" ]; then
	PYI_PRIVATE_INNER=1 exec unshare --mount --propagation private sh "$0" "$@"
fi
unset PYI_PRIVATE_INNER
images=/var/cache/pyisolate
[ -d /var/cache ] || mkdir /var/cache
[ -d $images ] || mkdir -m 0700 $images 2>/dev/null || [ -d $images ]
[ -d /run/pyisolate ] || mkdir /run/pyisolate 2>/dev/null || [ -d /run/pyisolate ]
mount -t tmpfs -o mode=700 none /run/pyisolate
case ${PYI_TEST_IMAGES-} in
none) mount -t tmpfs -o ro,mode=700 none $images ;;
"") mount -t tmpfs -o mode=700 none $images ;;
*) mount --bind "$PYI_TEST_IMAGES/root" $images ;;
esac
exec "$@"
