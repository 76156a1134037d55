#!/bin/sh
# SPDX-License-Identifier: MIT
#
# prestart.sh PROGRAM FILE: run the linked program up to main(), as cmd/prestart.h has it, and put what it writes
# to FILE into its section. Everything beyond the first x86-64 is masked, so that the choices hold on every processor.
set -eu

features=AVX,AVX2,AVX512F,AVX512CD,AVX512BW,AVX512DQ,AVX512ER,AVX512PF,AVX512VL,AVX_VNNI,BMI1,BMI2,ERMS,FMA,FMA4,FSRM
features=$features,F16C,LZCNT,MOVBE,POPCNT,RTM,SSE3,SSSE3,SSE4_1,SSE4_2,XSAVE,XSAVEC,OSXSAVE,XOP,LAHF64_SAHF64,CMPXCHG16B
masked=$(echo ",$features" | sed 's/,/,-/g; s/^,//')
rm -f "$2"
setarch -R env -i "GLIBC_TUNABLES=glibc.cpu.hwcaps=$masked" OPENSSL_ia32cap=0:0:0:0:0 \
	bash -c 'exec -a pyisolate-prepare "$1" "$2"' sh "$1" "$2"
objcopy --update-section ".pyi_prestart=$2" "$1" "$1.prepared"
mv "$1.prepared" "$1"
