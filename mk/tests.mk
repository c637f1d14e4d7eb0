# SPDX-License-Identifier: BSD-2-Clause
#
# Tests, in layers. tests/layer runs one and leaves "ok NAME" and "FAIL NAME: why"
# lines in $(O)/results/LAYER; tests/summary adds them up.

# Tests that only count keep one processor busy each, and run beside others: the emulated
# hosts whose time is their own instructions, each with its guest and host tests in one
# boot, and what needs no emulated host. Then those whose seconds are this machine's.
HOST_LAYERS := amd-bochs intel
STILL_LAYERS := style unit config fuzz
TIMED_LAYERS := lab guest host passthrough machine

run_layer = $(MAKE) run-$(1) || tests/layer-failed $(1)

# Every layer runs even if one before it failed.
.PHONY: check
check: | setup-check
	@rm -rf $(O)/results
	+@$(MAKE) on-host-programs || :
	+@$(foreach layer,$(HOST_LAYERS),{ $(call run_layer,$(layer)); } & ) \
		$(foreach layer,$(STILL_LAYERS),$(call run_layer,$(layer)); ) wait
	+@$(foreach layer,$(TIMED_LAYERS),$(call run_layer,$(layer)); ) :
	@tests/summary $(STILL_LAYERS) $(TIMED_LAYERS) $(HOST_LAYERS)

ALL_LAYERS := $(STILL_LAYERS) $(TIMED_LAYERS) $(HOST_LAYERS)
.PHONY: $(ALL_LAYERS:%=check-%)
$(ALL_LAYERS:%=check-%): check-%: | setup-check
	+@$(call run_layer,$*)
	@tests/summary $*

.PHONY: $(ALL_LAYERS:%=run-%)
run-style: programs modules $(O)/unit/portable.a
	@tests/layer style tests/style/run

# Configuration and packaging, on this machine: without an emulated host.
run-config: programs modules
	@tests/layer config tests/config/run

# The portable parts of the module as ordinary code. They are compiled twice:
# for the unit tests by gcc and for the fuzzers by clang.
PORTABLE_SRCS := $(foreach room,$(ROOMS) os/user,$(wildcard module/$(room)/*.c))
PORTABLE_CFLAGS := -std=gnu11 -g -O1 -fno-omit-frame-pointer -pthread -D_GNU_SOURCE \
	-Wall -Wextra -Werror -Imodule -Imodule/os/user -Iinclude -Ilib/vmmapi -Ilib -MMD -MP
# The kernel's build says so too, but later.
$(O)/unit/obj/module/%.o $(O)/fuzz/obj/module/%.o: PORTABLE_CFLAGS += -Wmissing-prototypes
SANITIZE := -fsanitize=address,undefined -fno-sanitize-recover=all

# After a build that failed: what is not up to date must not be taken for new.
remove_stale = for program in $(1); do $(MAKE) $$program >/dev/null 2>&1 || rm -f $$program; done

UNIT_TESTS := $(patsubst tests/unit/%.c,$(O)/unit/%,$(wildcard tests/unit/test_*.c))
UNIT_HELPERS := $(patsubst %,$(O)/unit/obj/%.o, \
	$(basename $(filter-out tests/unit/test_%,$(wildcard tests/unit/*.c tests/unit/*.S))))

$(O)/unit/obj/%.o: %.c | setup-check
	$(say) CC "$< (unit)"
	@mkdir -p $(@D)
	$(Q)$(CC) $(PORTABLE_CFLAGS) -Itests/unit $(SANITIZE) -c -o $@ $<

$(O)/unit/obj/%.o: %.S | setup-check
	$(say) AS "$< (unit)"
	@mkdir -p $(@D)
	$(Q)$(CC) $(PORTABLE_CFLAGS) -c -o $@ $<

$(O)/unit/portable.a: $(PORTABLE_SRCS:%.c=$(O)/unit/obj/%.o)
	$(Q)rm -f $@ && ar qcs $@ $^

$(O)/unit/test_%: $(O)/unit/obj/tests/unit/test_%.o $(UNIT_HELPERS) $(O)/unit/portable.a
	$(say) LD $@
	$(Q)$(CC) -pthread $(SANITIZE) -o $@ $^ -lm

# What the commands share: behind their objects, which say what of it they need.
$(O)/unit/common.a: $(COMMON_SRCS:%.c=$(O)/unit/obj/%.o)
$(O)/fuzz/common.a: $(COMMON_SRCS:%.c=$(O)/fuzz/obj/%.o)
$(O)/unit/common.a $(O)/fuzz/common.a:
	$(Q)rm -f $@ && ar qcs $@ $^

$(O)/unit/test_common_%: $(O)/unit/obj/tests/unit/test_common_%.o $(O)/unit/obj/tests/unit/unit.o \
		$(O)/unit/common.a $(O)/unit/obj/lib/vmmapi/memsize.o
	$(say) LD $@
	$(Q)$(CC) -pthread $(SANITIZE) -o $@ $^

# test_bhyve_* and fuzz_bhyve_* have bhyve's files instead of the module's, and
# a library that plays the module.
BHYVE_SRCS := $(filter-out cmd/bhyve/bhyve.c,$(wildcard cmd/bhyve/*.c)) \
	$(wildcard tests/unit/bhyve/*.c)
BHYVE_OBJS = $(BHYVE_SRCS:%.c=$(O)/$(1)/obj/%.o)
$(foreach kind,unit fuzz,$(O)/$(kind)/obj/cmd/bhyve/%.o $(O)/$(kind)/obj/tests/unit/bhyve/%.o \
	$(O)/$(kind)/obj/tests/$(kind)/$(kind:unit=test)_bhyve_%.o): \
	PORTABLE_CFLAGS += -Icmd/bhyve -Itests/unit/bhyve -I$(O)/gen
$(call BHYVE_OBJS,unit) $(call BHYVE_OBJS,fuzz): | $(ASL_HEADERS)

$(O)/unit/test_bhyve_%: $(O)/unit/obj/tests/unit/test_bhyve_%.o $(O)/unit/obj/tests/unit/unit.o \
		$(call BHYVE_OBJS,unit) $(O)/unit/common.a
	$(say) LD $@
	$(Q)$(CC) -pthread $(SANITIZE) -o $@ $^ $(BHYVE_LIBS)

# test_bhyveload_* and fuzz_bhyveload have what of bhyveload knows no VM.
BHYVELOAD_SRCS := $(filter-out cmd/bhyveload/bhyveload.c cmd/bhyveload/target.c, \
	$(wildcard cmd/bhyveload/*.c))
BHYVELOAD_OBJS = $(BHYVELOAD_SRCS:%.c=$(O)/$(1)/obj/%.o)
$(foreach kind,unit fuzz,$(O)/$(kind)/obj/cmd/bhyveload/%.o \
	$(O)/$(kind)/obj/tests/unit/bhyveload/%.o) $(O)/unit/obj/tests/unit/test_bhyveload_%.o \
	$(O)/fuzz/obj/tests/fuzz/fuzz_bhyveload.o: PORTABLE_CFLAGS += -Icmd/bhyveload

$(O)/unit/test_bhyveload_%: $(O)/unit/obj/tests/unit/test_bhyveload_%.o \
		$(O)/unit/obj/tests/unit/unit.o $(O)/unit/obj/tests/unit/bhyveload/helpers.o \
		$(call BHYVELOAD_OBJS,unit) $(O)/unit/common.a
	$(say) LD $@
	$(Q)$(CC) -pthread $(SANITIZE) -o $@ $^

# test_loader_* and fuzz_loader_* have vmm-loader's files.
LOADER_SRCS := $(filter-out cmd/vmm-loader/vmm-loader.c,$(wildcard cmd/vmm-loader/*.c))
LOADER_OBJS = $(LOADER_SRCS:%.c=$(O)/$(1)/obj/%.o)
$(foreach kind,unit fuzz,$(O)/$(kind)/obj/tests/$(kind)/$(kind:unit=test)_loader_%.o): \
	PORTABLE_CFLAGS += -Icmd/vmm-loader

$(O)/unit/test_loader_%: $(O)/unit/obj/tests/unit/test_loader_%.o $(O)/unit/obj/tests/unit/unit.o \
		$(call LOADER_OBJS,unit) $(O)/unit/common.a
	$(say) LD $@
	$(Q)$(CC) -pthread $(SANITIZE) -o $@ $^

PLAY_DEVICES := -Wl,--wrap=open,--wrap=close,--wrap=ioctl,--wrap=mmap

# The library's own tests, without the module, whose functions have the same names;
# tests/unit/vmmapi plays its device files.
VMMAPI_SRCS := $(LIB_SRCS) $(X86_SHARED_SRCS:%=module/%) $(wildcard tests/unit/vmmapi/*.c) \
	tests/unit/unit.c
$(filter $(O)/unit/test_vmmapi%,$(UNIT_TESTS)): $(O)/unit/test_vmmapi%: \
		$(O)/unit/obj/tests/unit/test_vmmapi%.o $(VMMAPI_SRCS:%.c=$(O)/unit/obj/%.o)
	$(say) LD $@
	$(Q)$(CC) -pthread $(SANITIZE) $(PLAY_DEVICES) -o $@ $^

# bhyvectl on the library, and both on the device files that tests/unit/vmmapi plays.
$(O)/unit/obj/cmd/bhyvectl/bhyvectl.o: PORTABLE_CFLAGS += -Dmain=bhyvectl_main
$(O)/unit/test_bhyvectl: $(O)/unit/obj/tests/unit/test_bhyvectl.o \
		$(patsubst %.c,$(O)/unit/obj/%.o,$(wildcard cmd/bhyvectl/*.c)) $(O)/unit/common.a \
		$(VMMAPI_SRCS:%.c=$(O)/unit/obj/%.o)
	$(say) LD $@
	$(Q)$(CC) -pthread $(SANITIZE) $(PLAY_DEVICES) -o $@ $^

.PHONY: unit-programs run-unit
unit-programs: $(UNIT_TESTS)
run-unit:
	@$(MAKE) -k unit-programs || $(call remove_stale,$(UNIT_TESTS))
	@tests/layer unit tests/unit/run $(UNIT_TESTS)

FUZZERS := $(patsubst tests/fuzz/%.c,$(O)/fuzz/%,$(wildcard tests/fuzz/fuzz_*.c))
FUZZ_HELPERS := $(patsubst %.c,$(O)/fuzz/obj/%.o, \
	$(filter-out tests/fuzz/fuzz_%,$(wildcard tests/fuzz/*.c)))

$(O)/fuzz/obj/%.o: %.c | setup-check
	$(say) CLANG "$< (fuzz)"
	@mkdir -p $(@D)
	$(Q)$(CLANG) $(PORTABLE_CFLAGS) -Itests/fuzz -Itests/unit -fsanitize=fuzzer-no-link \
		$(SANITIZE) -c -o $@ $<

$(O)/fuzz/portable.a: $(PORTABLE_SRCS:%.c=$(O)/fuzz/obj/%.o)
	$(Q)rm -f $@ && ar qcs $@ $^

$(O)/fuzz/fuzz_%: $(O)/fuzz/obj/tests/fuzz/fuzz_%.o $(FUZZ_HELPERS) $(O)/fuzz/portable.a
	$(say) LD $@
	$(Q)$(CLANG) -pthread -fsanitize=fuzzer $(SANITIZE) -o $@ $^

$(O)/fuzz/fuzz_bhyve_%: $(O)/fuzz/obj/tests/fuzz/fuzz_bhyve_%.o $(call BHYVE_OBJS,fuzz) \
		$(O)/fuzz/common.a
	$(say) LD $@
	$(Q)$(CLANG) -pthread -fsanitize=fuzzer $(SANITIZE) -o $@ $^ $(BHYVE_LIBS)

$(O)/fuzz/fuzz_bhyveload: $(O)/fuzz/obj/tests/fuzz/fuzz_bhyveload.o $(call BHYVELOAD_OBJS,fuzz) \
		$(O)/fuzz/common.a
	$(say) LD $@
	$(Q)$(CLANG) -pthread -fsanitize=fuzzer $(SANITIZE) -o $@ $^

$(O)/fuzz/fuzz_loader_%: $(O)/fuzz/obj/tests/fuzz/fuzz_loader_%.o $(call LOADER_OBJS,fuzz) \
		$(O)/fuzz/common.a
	$(say) LD $@
	$(Q)$(CLANG) -pthread -fsanitize=fuzzer $(SANITIZE) -o $@ $^

.PHONY: fuzz-programs run-fuzz
fuzz-programs: $(FUZZERS)
run-fuzz:
	@$(MAKE) -k fuzz-programs || $(call remove_stale,$(FUZZERS))
	@tests/layer fuzz tests/fuzz/run $(FUZZERS)

# The kernel that the guest tests boot: freestanding, one image with every test.
PAYLOAD_SRCS := $(wildcard tests/guest/payload/*.S tests/guest/payload/*.c tests/guest/test_*.c)
PAYLOAD_OBJS := $(addsuffix .o,$(basename $(PAYLOAD_SRCS:%=$(O)/guest/%)))
PAYLOAD_CFLAGS := -std=gnu11 -m64 -O1 -g -Wall -Wextra -Werror -ffreestanding -fno-pic \
	-mno-red-zone -mgeneral-regs-only -fno-stack-protector -fcf-protection=none \
	-fno-asynchronous-unwind-tables -Itests/guest -MMD -MP

$(O)/guest/%.o: %.c | setup-build
	$(say) CC "$< (guest)"
	@mkdir -p $(@D)
	$(Q)$(CC) $(PAYLOAD_CFLAGS) -c -o $@ $<

$(O)/guest/%.o: %.S | setup-build
	$(say) AS "$< (guest)"
	@mkdir -p $(@D)
	$(Q)$(CC) $(PAYLOAD_CFLAGS) -c -o $@ $<

$(O)/guest/payload.elf: $(PAYLOAD_OBJS) tests/guest/payload/link.ld
	$(say) LD $@
	$(Q)ld -m elf_x86_64 -static -z noexecstack -z max-page-size=4096 --no-warn-rwx-segments \
		-T tests/guest/payload/link.ld -o $@ $(PAYLOAD_OBJS)

# The host tests' programs, with the unit tests' harness.
HOST_TESTS := $(patsubst tests/host/%.c,$(O)/host/%,$(wildcard tests/host/test_*.c))
HOST_HELPERS := $(patsubst %.c,$(O)/host/obj/%.o, \
	tests/unit/unit.c $(filter-out tests/host/test_% tests/host/guest_% tests/host/kvm_%, \
		$(wildcard tests/host/*.c)))

$(O)/host/obj/%.o: %.c | setup-build
	$(say) CC "$< (host)"
	@mkdir -p $(@D)
	$(Q)$(CC) $(USER_CFLAGS) -Itests/unit -MMD -MP -c -o $@ $<

$(O)/host/test_%: $(O)/host/obj/tests/host/test_%.o $(HOST_HELPERS) $(O)/lib/libvmmapi.a
	$(say) LD $@
	$(Q)$(CC) -static -pthread -o $@ $^

# Programs that its Linux guests run.
HOST_GUEST_PROGRAMS := $(patsubst tests/host/%.c,$(O)/host/%,$(wildcard tests/host/guest_*.c))
$(O)/host/guest_%: tests/host/guest_%.c | setup-build
	$(say) CC $<
	@mkdir -p $(@D)
	$(Q)$(CC) $(USER_CFLAGS) -static -o $@ $<

# Boots Linux under KVM, which bhyveload's files put into memory.
$(O)/host/obj/tests/host/kvm_linux.o: USER_CFLAGS += -Icmd/bhyveload
$(O)/host/kvm_linux: $(O)/host/obj/tests/host/kvm_linux.o $(BHYVELOAD_SRCS:%.c=$(O)/obj/%.o) \
		$(COMMON_LIB)
	$(say) LD $@
	$(Q)$(CC) -static -o $@ $^

# Small guests that drive devices of the host, with the guest tests' runtime; programs
# for the host.
PPT_PROGRAMS := host_page nvme_virt
PPT_PAYLOAD_OBJS := $(patsubst %.c,$(O)/guest/%.o, \
		$(filter-out $(PPT_PROGRAMS:%=tests/passthrough/%.c),$(wildcard tests/passthrough/*.c))) \
	$(filter $(O)/guest/tests/guest/payload/%,$(PAYLOAD_OBJS))
$(O)/passthrough/payload.elf: $(PPT_PAYLOAD_OBJS) tests/guest/payload/link.ld
	$(say) LD $@
	@mkdir -p $(@D)
	$(Q)ld -m elf_x86_64 -static -z noexecstack -z max-page-size=4096 --no-warn-rwx-segments \
		-T tests/guest/payload/link.ld -o $@ $(PPT_PAYLOAD_OBJS)

$(PPT_PROGRAMS:%=$(O)/passthrough/%): $(O)/passthrough/%: tests/passthrough/%.c | setup-build
	$(say) CC $<
	@mkdir -p $(@D)
	$(Q)$(CC) $(USER_CFLAGS) -static -o $@ $<

run-passthrough: $(O)/passthrough/payload.elf $(PPT_PROGRAMS:%=$(O)/passthrough/%) programs modules
	@tests/layer passthrough tests/passthrough/run


# What the tests on an emulated host take there; they call lab/run themselves.
.PHONY: on-host-programs
on-host-programs: programs modules $(HOST_TESTS) $(HOST_GUEST_PROGRAMS) $(O)/host/kvm_linux \
	$(O)/guest/payload.elf
# bhyve's own devices and firmware.
run-machine: programs $(O)/module/$(RUN_KERNEL)/vmm.ko
	@tests/layer machine tests/machine/run

# By hand only: a kernel is built first, and watches itself at a third of the speed.
.PHONY: check-debug
check-debug: on-host-programs | setup-check
	@$(MAKE) $(O)/module/debug/vmm.ko
	@KERNELS=debug KERNEL=debug tests/layer debug tests/host/run $(HOST)
	@tests/summary debug

# By hand only: minutes, in which memtest86+ mostly waits.
.PHONY: check-memtest
check-memtest: programs $(O)/module/$(RUN_KERNEL)/vmm.ko | setup-check
	@tests/layer memtest tests/machine/run memtest
	@tests/summary memtest

run-lab: | setup-lab
	@tests/layer lab tests/lab/run $(HOST)
run-guest run-host: run-%: on-host-programs
	@tests/layer $* tests/$*/run $(HOST)
run-amd-bochs run-intel: run-%: on-host-programs
	@tests/layer $* tests/on-host/run $*

-include $(shell find $(O)/unit $(O)/fuzz $(O)/guest $(O)/host -name '*.d' 2>/dev/null)
