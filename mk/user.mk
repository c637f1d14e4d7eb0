# SPDX-License-Identifier: BSD-2-Clause
#
# libvmmapi, what the commands share, and the commands. Every .c file of a folder
# belongs to its program or library.

COMMANDS := $(filter $(notdir $(patsubst %/,%,$(dir $(wildcard cmd/*/*.c)))), \
	bhyve bhyve-slirp bhyvectl bhyveload vmm-loader)

WARNINGS := -Wall -Wextra -Werror -Wmissing-prototypes -Wstrict-prototypes -Wshadow
USER_CFLAGS := -std=gnu11 -O2 -g -pthread $(WARNINGS) -fstack-protector-strong -D_GNU_SOURCE \
	-Iinclude -Ilib/vmmapi -Ilib
USER_LDFLAGS := -pthread -Wl,-z,relro,-z,now

# The decoder and emulator are the module's own files: it lists those that the
# library has too in X86_SHARED_SRCS, as paths below module/.
X86_SHARED_SRCS :=
-include module/x86/shared.mk
MODULE_USER_CFLAGS := -Imodule -Imodule/os/user

LIB_SRCS := $(wildcard lib/vmmapi/*.c)
LIB_OBJS := $(LIB_SRCS:%.c=$(O)/obj/%.o) $(X86_SHARED_SRCS:%.c=$(O)/obj/module/%.o)
# The number changes when a program that was linked before would not run any more.
SONAME := libvmmapi.so.1
LIBS := $(if $(LIB_SRCS),$(O)/lib/libvmmapi.a $(O)/lib/$(SONAME))

# For the commands alone: it is not installed.
COMMON_SRCS := $(wildcard lib/common/*.c)
COMMON_LIB := $(O)/lib/libcommon.a

command_objs = $(patsubst %.c,$(O)/obj/%.o,$(wildcard cmd/$(1)/*.c))
PROGRAMS := $(COMMANDS:%=$(O)/bin/%)

.PHONY: programs
programs: $(LIBS) $(PROGRAMS)

$(O)/obj/%.o: %.c | setup-build
	$(say) CC $<
	@mkdir -p $(@D)
	$(Q)$(CC) $(USER_CFLAGS) $(EXTRA_CFLAGS) -fPIC -MMD -MP -c -o $@ $<

$(O)/obj/module/%.o: EXTRA_CFLAGS = $(MODULE_USER_CFLAGS)
$(O)/obj/lib/vmmapi/%.o: EXTRA_CFLAGS = $(MODULE_USER_CFLAGS)
$(O)/obj/cmd/%.o: EXTRA_CFLAGS = -I$(O)/gen $(MODULE_USER_CFLAGS)

$(O)/lib/libvmmapi.a: $(LIB_OBJS)
	$(say) AR $@
	@mkdir -p $(@D)
	$(Q)rm -f $@ && ar qcs $@ $^

$(COMMON_LIB): $(COMMON_SRCS:%.c=$(O)/obj/%.o)
	$(say) AR $@
	@mkdir -p $(@D)
	$(Q)rm -f $@ && ar qcs $@ $^

$(O)/lib/$(SONAME): $(LIB_OBJS) lib/vmmapi/libvmmapi.map
	$(say) LD $@
	@mkdir -p $(@D)
	$(Q)$(CC) -shared -Wl,-soname,$(SONAME) -Wl,--version-script=lib/vmmapi/libvmmapi.map \
		$(USER_LDFLAGS) -o $@ $(LIB_OBJS)

# No dynamic linking at each start of those that tests start by the thousand: under
# emulation they are there in 20 ms instead of 120. bhyvectl looks up users' names,
# for which the C library wants its plugins. vmm-loader goes into the initramfs alone.
$(O)/bin/bhyve $(O)/bin/bhyveload $(O)/bin/vmm-loader: LINK_MODE := -static-pie

# Libraries of Debian's that a command has beside ours.
BHYVE_LIBS := -luring -lbsd
$(O)/bin/bhyve: COMMAND_LIBS := $(BHYVE_LIBS)
$(O)/bin/bhyve-slirp: COMMAND_LIBS := -lslirp

define command_rule
$(O)/bin/$(1): $(call command_objs,$(1)) $(COMMON_LIB) $(O)/lib/libvmmapi.a
	$$(say) LD $$@
	@mkdir -p $$(@D)
	$$(Q)$$(CC) $$(LINK_MODE) $$(USER_LDFLAGS) -o $$@ $$^ $$(COMMAND_LIBS)
endef
$(foreach command,$(COMMANDS),$(eval $(call command_rule,$(command))))

# ACPI source becomes a C array: cmd/bhyve/NAME.asl is $(O)/gen/NAME.hex, with
# the array NAME_aml_code, for `#include "NAME.hex"`.
ASL_HEADERS := $(patsubst cmd/bhyve/%.asl,$(O)/gen/%.hex,$(wildcard cmd/bhyve/*.asl))
$(call command_objs,bhyve): | $(ASL_HEADERS)

$(O)/gen/%.hex: cmd/bhyve/%.asl | setup-build
	$(say) IASL $<
	@mkdir -p $(@D)
	$(Q)iasl -we -tc -p $(O)/gen/$* $< >$(O)/gen/$*.log 2>&1 || { cat $(O)/gen/$*.log; exit 1; }

-include $(shell find $(O)/obj -name '*.d' 2>/dev/null)
