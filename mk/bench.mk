# SPDX-License-Identifier: BSD-2-Clause
#
# Measurements beside KVM. The payload is what the guest tests boot, with rows for tests.

# The first object's boot code is the image's beginning.
BENCH_PAYLOAD_SRCS := bench/payload/entry.S \
	$(filter-out %/entry.S,$(wildcard bench/payload/*.S bench/payload/*.c \
		tests/guest/payload/*.S tests/guest/payload/*.c))
BENCH_PAYLOAD_OBJS := $(addsuffix .o,$(basename $(BENCH_PAYLOAD_SRCS:%=$(O)/guest/%)))

$(O)/bench/payload.bin: $(BENCH_PAYLOAD_OBJS) tests/guest/payload/link.ld
	$(say) LD $@
	@mkdir -p $(@D)
	$(Q)ld -m elf_x86_64 -static -z noexecstack -z max-page-size=4096 --no-warn-rwx-segments \
		-T tests/guest/payload/link.ld -o $(O)/bench/payload.elf $(BENCH_PAYLOAD_OBJS)
	$(Q)objcopy -O binary $(O)/bench/payload.elf $@

BENCH_RUNNER_OBJS := $(patsubst %.c,$(O)/bench/obj/%.o,$(wildcard bench/runner/*.c))

$(O)/bench/obj/%.o: %.c | setup-build
	$(say) CC $<
	@mkdir -p $(@D)
	$(Q)$(CC) $(USER_CFLAGS) -MMD -MP -c -o $@ $<

$(O)/bench/bench: $(BENCH_RUNNER_OBJS) $(O)/lib/libvmmapi.a
	$(say) LD $@
	$(Q)$(CC) -static -pthread -o $@ $^

# The first process of a kernel that boots.
$(O)/bench/first: bench/first.c | setup-build
	$(say) CC $<
	@mkdir -p $(@D)
	$(Q)$(CC) $(USER_CFLAGS) -static -o $@ $<

.PHONY: bench bench-quick bench-programs
bench-programs: programs $(O)/module/$(RUN_KERNEL)/vmm.ko $(O)/bench/bench $(O)/bench/payload.bin \
	$(O)/bench/first

# The table of all hosts is also what docs/performance.md shows.
bench: bench-programs | setup-lab
	@bench/run --document docs/performance.md amd-icount intel amd-bochs

bench-quick: bench-programs | setup-lab
	@bench/run amd-icount

-include $(shell find $(O)/bench -name '*.d' 2>/dev/null)
