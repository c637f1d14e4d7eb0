# SPDX-License-Identifier: BSD-2-Clause
#
# vmm.ko, for each of KERNELS and for this machine's own kernel.

# The rooms that know no kernel, from the ground up.
ROOMS := vm dev x86/cpu x86/paging x86/emulate x86/exits svm vmx ppt run api

MODULE_SRCS := $(shell find module include -type f 2>/dev/null)
MODULES := $(if $(wildcard module/*/*.c),$(KERNELS:%=$(O)/module/%/vmm.ko))

.PHONY: modules
modules: $(MODULES)

$(O)/module/%/vmm.ko: $(MODULE_SRCS) mk/build-module | setup-kernel-%
	$(say) MODULE $@
	$(Q)+mk/build-module $* $(O)/module/$*

.PHONY: native
native: programs | setup-build
	$(say) MODULE $(O)/module/native/vmm.ko
	$(Q)+mk/build-module native $(O)/module/native
