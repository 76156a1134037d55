#!/bin/sh
# SPDX-License-Identifier: MIT
#
# version.sh COMMIT CPYTHON_DIR: the C header with our version, the commit and the interpreter's source version.
set -eu
version=0.1.0
commit=$1
python=$(cat "$2/version")
cat <<END
#define PYI_VERSION "$version"
#define PYI_COMMIT "$commit"
#define PYI_PYTHON_PACKAGE "$python"
END
