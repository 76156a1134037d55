# SPDX-License-Identifier: MIT
#
# make            build build/pyisolate            make check     every test (as root: also kernel and VM tests)
# make demo       set up, build, run the main job  make help      all targets (V=1 shows commands)
#
# Everything is compiled inside a Debian trixie build root that vendor/ makes and caches outside the checkout, so the
# host's compilers and libraries do not matter. Outside the root this file only enters it; inside (PYI_IN_ROOT=1) it
# builds. RUNTIME=3.13t (free-threaded, the default) or 3.13 (with the GIL); RELEASE=1 compiles our own code with
# clang, LTO and CFI.

RUNTIME ?= 3.13t
RELEASE ?=
B := build$(if $(filter-out 3.13t,$(RUNTIME))$(RELEASE),/$(RUNTIME)$(if $(RELEASE),-release))
BIN := $(B)/pyisolate

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules --no-print-directory $(if $(V),,-s)

ifeq ($(PYI_IN_ROOT),)
# ------------------------------------------------------------------------------------------------ outside the root

COMMIT := $(shell git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)
ENTER = vendor/enter.sh make -j$$(nproc) PYI_IN_ROOT=1 RUNTIME=$(RUNTIME) RELEASE=$(RELEASE) COMMIT=$(COMMIT)
STEP = @sh test/step.sh

.PHONY: all demo check check-vm lint fuzz bench format install clean help
all:
	$(STEP) "build $(BIN)" $(ENTER) CPYTHON=$$(vendor/cpython.sh $(RUNTIME)) build

demo: all
	$(STEP) "demo" sh test/demo/demo.sh $(BIN)

# The other builds pass the same tests: with the GIL, and as released.
check: all
	@$(MAKE) RUNTIME=3.13 RELEASE= all
	@$(MAKE) RUNTIME=3.13t RELEASE=1 all
	@sh test/check.sh $(BIN)

check-vm: all
	@sh test/check.sh $(BIN) vm

lint:
	$(STEP) "lint" $(ENTER) CPYTHON=$$(vendor/cpython.sh $(RUNTIME)) in-lint

fuzz:
	$(STEP) "fuzz" $(ENTER) CPYTHON=$$(vendor/cpython.sh $(RUNTIME)) in-fuzz

bench: all
	@sh test/bench/bench.sh $(BIN)

format:
	@$(ENTER) in-format

PREFIX ?= /usr/local
install: all
	install -d $(DESTDIR)$(PREFIX)/bin
	sh vendor/place.sh $(BIN) $(DESTDIR)$(PREFIX)/bin/pyisolate
	for m in man/*.[1-8]; do install -D -m 0644 $$m $(DESTDIR)$(PREFIX)/share/man/man$${m##*.}/$${m##*/}; done
	install -d $(DESTDIR)$(PREFIX)/share/bash-completion/completions
	$(BIN) help --completion bash >$(DESTDIR)$(PREFIX)/share/bash-completion/completions/pyisolate

clean:
	rm -rf build

help:
	@echo "make            build build/pyisolate (RELEASE=1: clang, LTO, CFI; RUNTIME=3.13: with the GIL)"
	@echo "make demo       set up from nothing, build, run the main job"
	@echo "make check      every test: unit, golden, command line, kernel, virtual machine, conformance"
	@echo "make check-vm   only the tests in the virtual machine (BPF LSM, pure cgroup v2)"
	@echo "make lint       formatting, warnings, headers, include direction, scripts, manual pages"
	@echo "make fuzz       each fuzz target for a minute (FUZZ_SECONDS=60 FUZZ_SEED=)"
	@echo "make bench      each figure beside its reference, measured in the same run"
	@echo "make format     apply .clang-format"
	@echo "make install    into PREFIX=/usr/local (DESTDIR is respected)"

else
# ------------------------------------------------------------------------------------------------- inside the root

LIB_SRC := $(wildcard lib/*/*.c)
CMD_SRC := $(wildcard cmd/*.c)
GEN := $(B)/gen
LIB_OBJ := $(LIB_SRC:%.c=$(B)/obj/%.o) $(GEN)/templates.o
GUEST_GEN_OBJ := $(GEN)/frozen.o $(GEN)/frozen_table.o $(GEN)/symbols.o
CMD_OBJ := $(CMD_SRC:%.c=$(B)/obj/%.o)
UNIT_SRC := $(wildcard test/unit/*.c)
UNIT_BIN := $(UNIT_SRC:test/unit/%.c=$(B)/unit/%)
FUZZ_SRC := $(wildcard test/fuzz/*.c)
FUZZ_BIN := $(FUZZ_SRC:test/fuzz/%.c=$(B)/fuzz/%)
HELPER_SRC := $(wildcard test/helper/*.c)
HELPER_BIN := $(HELPER_SRC:test/helper/%.c=$(B)/helper/%) $(B)/helper/cfi-on $(B)/helper/cfi-off
CFI_FLAGS := -flto -fvisibility=hidden -fsanitize=cfi -fsanitize-cfi-icall-generalize-pointers

WARN := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition \
	-Wpointer-arith -Wwrite-strings -Wundef -Wvla -Wformat=2 -Wno-format-nonliteral -Wimplicit-fallthrough \
	-Wno-unused-parameter
HARDEN := -fstack-protector-strong -D_FORTIFY_SOURCE=3 -fcf-protection
CPPFLAGS := -D_GNU_SOURCE -Ilib -Ibpf -I$(GEN) -I.
# Text and constants where huge pages can be mapped (vendor/place.sh).
HUGE := -Wl,-z,max-page-size=0x200000,-z,common-page-size=4096
ifeq ($(RELEASE),)
CC := gcc
CFLAGS := -std=gnu17 -O2 -g -fno-pie $(WARN) $(HARDEN) -ffile-prefix-map=$(CURDIR)/=
LDFLAGS := -static -no-pie -Wl,--build-id=sha1 -Wl,-z,relro,-z,now,-z,noexecstack $(HUGE)
else
CC := clang-19
CFLAGS := -std=gnu17 -O2 -g -fno-pie $(WARN) $(HARDEN) -ffile-prefix-map=$(CURDIR)/= \
	$(CFI_FLAGS)
LDFLAGS := -static -no-pie -fuse-ld=lld -flto -fsanitize=cfi -Wl,--build-id=sha1 -Wl,-z,relro,-z,now,-z,noexecstack $(HUGE)
endif
# The interpreter for the build itself; a fixed hash seed makes what it freezes reproducible.
PYTHON := PYTHONHASHSEED=0 PYTHONHOME=$(CPYTHON) PYTHONPATH=$(CPYTHON)/lib $(CPYTHON)/python -S -P -B
PYLIBS = $(CPYTHON)/libpython.a $(shell cat $(CPYTHON)/link)
# What lib/guest/static.c, dlsym.c, main.c, image_mend.c and image_hide.c replace in libraries and in gcc's start-up code.
WRAP := dlopen dlerror dlsym setlocale __register_frame_info __deregister_frame_info openssl_get_fork_id \
	_PyImport_FiniExternal _PyInterpreterState_Clear \
	$(if $(filter 3.13t,$(RUNTIME)),_PyCriticalSection_BeginSlow)
LDWRAP := $(WRAP:%=-Wl,--wrap=%) -Wl,--eh-frame-hdr -Wl,--entry=pyi_image_entry
LIBS := -lbpf -luring -lelf -lyaml -lcrypto -lzstd -lz -luuid -ldl -lm -lpthread

.PHONY: build in-lint in-fuzz in-format tests FORCE
build: $(BIN) tests
tests: $(UNIT_BIN) $(HELPER_BIN) $(B)/helper/pyisolate-faults $(B)/helper/faults.list

$(BIN): $(CMD_OBJ) $(LIB_OBJ) $(GUEST_GEN_OBJ) $(CPYTHON)/libpython.a cmd/prestart.sh cmd/prestart_check.py
	$(CC) $(LDFLAGS) $(LDWRAP) -Wl,--entry=pyi_prestart_entry -o $@.full $(CMD_OBJ) $(LIB_OBJ) $(GUEST_GEN_OBJ) \
		-Wl,--start-group $(PYLIBS) $(LIBS) -Wl,--end-group 2>$(B)/link.log || { cat $(B)/link.log; exit 1; }
	sh cmd/prestart.sh $@.full $(B)/prestart.bin
	$(PYTHON) cmd/prestart_check.py $@.full $(B)/prestart.bin
	objcopy --only-keep-debug $@.full $@.debug
	strip -o $@.new $@.full
	objcopy --add-gnu-debuglink=$@.debug $@.new
	sh vendor/place.sh $@.new $@
	rm $@.new

$(B)/obj/lib/guest/%.o: CPPFLAGS += -isystem $(CPYTHON)/include
$(B)/obj/%.o: %.c | $(GEN)/version.h $(GEN)/bpf.stamp
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

# These run before libc, in whichever build: nothing that needs a thread pointer or calls a function.
$(B)/obj/lib/guest/image_start.o $(B)/obj/cmd/prestart.o: $(B)/obj/%.o: %.c
	@mkdir -p $(@D)
	gcc $(CPPFLAGS) -std=gnu17 -O2 -g -fno-pie $(WARN) -ffile-prefix-map=$(CURDIR)/= -ffreestanding \
		-fno-stack-protector -fcf-protection=none -fno-tree-loop-distribute-patterns -MMD -MP -c -o $@ $<

# The version: what git says, rewritten only when it changed.
$(GEN)/version.h: FORCE
	@mkdir -p $(@D)
	@sh vendor/version.sh $(COMMIT) $(CPYTHON) >$@.new
	@cmp -s $@.new $@ && rm $@.new || mv $@.new $@

# Policy templates become data in the binary.
$(GEN)/templates.c: $(wildcard policy/*.yml) lib/policy/embed.sh
	@mkdir -p $(@D)
	sh lib/policy/embed.sh $(sort $(wildcard policy/*.yml)) >$@
$(GEN)/templates.o: $(GEN)/templates.c
	$(CC) $(CPPFLAGS) $(CFLAGS) -c -o $@ $<

# The standard library, compiled to code objects and frozen into the binary.
$(GEN)/frozen_table.c $(GEN)/frozen.S &: $(wildcard lib/guest/*.py) $(CPYTHON)/.complete
	@mkdir -p $(GEN)
	$(PYTHON) lib/guest/freeze.py $(CPYTHON)/lib $(GEN)
$(GEN)/frozen.o: $(GEN)/frozen.S
	gcc -c -o $@ $<
$(GEN)/frozen_table.o: $(GEN)/frozen_table.c
	gcc -O2 -isystem $(CPYTHON)/include -c -o $@ $<

# The names that dlsym finds.
$(GEN)/symbols.S: lib/guest/symbols.sh lib/guest/symbols.txt $(CPYTHON)/.complete
	@mkdir -p $(@D)
	sh lib/guest/symbols.sh $(CPYTHON)/libpython.a lib/guest/symbols.txt >$@
$(GEN)/symbols.o: $(GEN)/symbols.S
	gcc -c -o $@ $<

include Makefile.bpf

# Unit tests link everything but main and what needs the interpreter. They are dynamic (Debian has no static cmocka) and use the
# build root's loader and libraries by absolute path, so that they run outside the root too.
UNIT_LD = -no-pie -Wl,--dynamic-linker=$(PYI_ROOT)/lib64/ld-linux-x86-64.so.2 \
	-Wl,-rpath,$(PYI_ROOT)/usr/lib/x86_64-linux-gnu $(if $(RELEASE),-fuse-ld=lld)
# The test of the cache of images makes them up.
UNIT_OBJ = $(filter-out $(B)/obj/lib/guest/%,$(LIB_OBJ)) \
	$(addprefix $(B)/obj/lib/guest/,spec.o $(if $(filter %/test_image_cache,$@),,image_check.o image_build.o))
$(B)/unit/%: test/unit/%.c $(UNIT_OBJ)
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP $(UNIT_LD) -o $@ $< $(UNIT_OBJ) \
		-Wl,--start-group -lcmocka $(LIBS) -Wl,--end-group 2>$@.log || { cat $@.log; exit 1; }

# Small static programs that tests run inside and outside sandboxes.
$(B)/helper/%: test/helper/%.c
	@mkdir -p $(@D)
	gcc -std=gnu17 -O1 -g $(WARN) -D_GNU_SOURCE -Ilib -static -Ibpf -o $@ $< -lpthread

# The proof that CFI works: one program with the release build's flags and one without.
$(B)/helper/cfi-on: test/cfi/victim.c
	@mkdir -p $(@D)
	clang-19 -std=gnu17 -O2 $(WARN) $(CFI_FLAGS) -fuse-ld=lld -static -o $@ $<
$(B)/helper/cfi-off: test/cfi/victim.c
	@mkdir -p $(@D)
	clang-19 -std=gnu17 -O2 $(WARN) -fuse-ld=lld -static -o $@ $<

# The same binary with numbered fault points (lib/base/fault.h): only the objects that have any are compiled again.
FAULT_SRC := $(shell grep -l base/fault.h $(LIB_SRC))
FAULT_OBJ := $(FAULT_SRC:%.c=$(B)/faults/%.o)
$(B)/faults/%.o: %.c | $(GEN)/version.h $(GEN)/bpf.stamp
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -DPYI_FAULTS -MMD -MP -c -o $@ $<
$(B)/helper/pyisolate-faults: $(BIN) $(FAULT_OBJ)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) $(LDWRAP) -s -o $@ $(CMD_OBJ) $(filter-out $(FAULT_SRC:%.c=$(B)/obj/%.o),$(LIB_OBJ)) $(FAULT_OBJ) \
		$(GUEST_GEN_OBJ) -Wl,--start-group $(PYLIBS) $(LIBS) -Wl,--end-group 2>$(B)/link-faults.log || \
		{ cat $(B)/link-faults.log; exit 1; }
$(B)/helper/faults.list: $(FAULT_SRC)
	@mkdir -p $(@D)
	grep -oE 'PYI_FAULT\([0-9]+' $(FAULT_SRC) | sed 's/.*(//' | sort -nu >$@

# Fuzz targets: libFuzzer over the pure layers, with address and undefined-behaviour checks.
FUZZ_LIB := $(wildcard lib/base/*.c lib/policy/*.c lib/wire/*.c lib/report/*.c lib/plan/*.c) lib/guest/spec.c lib/guest/image_check.c
$(B)/fuzz/%: test/fuzz/%.c $(FUZZ_LIB) $(GEN)/templates.c
	@mkdir -p $(@D)
	clang-19 $(CPPFLAGS) -std=gnu17 -g -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined \
		-fno-pie -no-pie -Wl,--build-id=sha1 -o $@ $< $(FUZZ_LIB) $(GEN)/templates.c -lyaml -lcrypto -lm
in-fuzz: $(GEN)/version.h $(FUZZ_BIN)
	sh test/fuzz/run.sh $(FUZZ_BIN)

in-lint: $(GEN)/version.h $(GEN)/bpf.stamp
	CPYTHON=$(CPYTHON) GEN=$(GEN) sh test/lint.sh

in-format:
	clang-format-19 -i $(shell find cmd lib bpf test -name '*.[ch]')

-include $(LIB_SRC:%.c=$(B)/obj/%.d) $(FAULT_OBJ:.o=.d) $(CMD_SRC:%.c=$(B)/obj/%.d) $(UNIT_BIN:%=%.d)
endif
