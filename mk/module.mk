# SPDX-License-Identifier: BSD-2-Clause
#
# vmm.ko, for each of KERNELS and for this machine's own kernel.

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

PREFIX ?= /usr/local
.PHONY: install
install:
	install -d $(DESTDIR)$(PREFIX)/sbin $(DESTDIR)$(PREFIX)/lib $(DESTDIR)$(PREFIX)/include/vmm
	install -m 755 $(PROGRAMS) $(DESTDIR)$(PREFIX)/sbin
	install -m 644 $(O)/lib/libvmmapi.a $(O)/lib/libvmmapi.so $(DESTDIR)$(PREFIX)/lib
	install -m 644 include/vmm/*.h $(DESTDIR)$(PREFIX)/include/vmm
	install -d $(DESTDIR)$(PREFIX)/include/machine $(DESTDIR)$(PREFIX)/include/sys
	install -m 644 include/machine/*.h $(DESTDIR)$(PREFIX)/include/machine
	install -m 644 include/sys/cpuset.h $(DESTDIR)$(PREFIX)/include/sys
	install -m 644 lib/vmmapi/vmmapi.h $(DESTDIR)$(PREFIX)/include
	install -D -m 644 $(O)/module/native/vmm.ko \
		$(DESTDIR)/lib/modules/$(shell uname -r)/extra/vmm.ko
	$(if $(DESTDIR),,/sbin/depmod -a)
