# SPDX-License-Identifier: BSD-2-Clause
#
# Installing, and taking away again. Where a file goes does not depend on what is
# there: a package is made of DESTDIR.

PREFIX ?= /usr/local
VERSION := $(shell sed -n 's/^\#define VMM_VERSION //p' include/vmm/version.h)
export DESTDIR PREFIX VERSION

# What "make native" has built, for the kernel that runs.
MODULE_FILE ?= $(O)/module/native/vmm.ko
MODULE_RELEASE ?= $(shell uname -r)

# What is not about PREFIX at all has its place in /etc, unless we are a part of the
# distribution: initramfs-tools does not look below /usr/local.
INITRAMFS_TOOLS := $(if $(filter /usr,$(PREFIX)),/usr/share,/etc)/initramfs-tools
DKMS_FOLDER := /usr/src/vmm-$(VERSION)
MANIFEST := $(PREFIX)/share/vmm/manifest

# "MODE SOURCE TARGET" for each file: into a folder, or as a path of its own.
place = $(foreach file,$(2),$(1) $(file) $(3)/$(notdir $(file:.in=)))
place_as = $(1) $(2) $(3)

INSTALLED := \
	$(call place,755,$(PROGRAMS),$(PREFIX)/sbin) \
	$(call place,644,$(LIBS),$(PREFIX)/lib) \
	$(call place_as,link,$(SONAME),$(PREFIX)/lib/libvmmapi.so) \
	$(call place,644,packaging/vmmapi.pc.in,$(PREFIX)/lib/pkgconfig) \
	$(call place,644,lib/vmmapi/vmmapi.h,$(PREFIX)/include) \
	$(call place,644,$(wildcard include/vmm/*.h),$(PREFIX)/include/vmm) \
	$(call place,644,$(wildcard include/machine/*.h),$(PREFIX)/include/machine) \
	$(call place,644,$(wildcard include/sys/*.h),$(PREFIX)/include/sys) \
	$(call place,644,$(wildcard include/x86/*.h),$(PREFIX)/include/x86) \
	$(call place,644,$(wildcard man/*.4),$(PREFIX)/share/man/man4) \
	$(call place,644,$(wildcard man/*.8),$(PREFIX)/share/man/man8) \
	$(call place,644,$(wildcard packaging/examples/*),$(PREFIX)/share/examples/vmm) \
	$(call place,644,packaging/systemd/vmm-loader.service.in,$(PREFIX)/lib/systemd/system) \
	$(call place,644,packaging/udev/60-vmm.rules,$(PREFIX)/lib/udev/rules.d) \
	$(call place,644,packaging/sysusers.d/vmm.conf,$(PREFIX)/lib/sysusers.d) \
	$(call place_as,755,packaging/initramfs-tools/hook.in,$(INITRAMFS_TOOLS)/hooks/vmm) \
	$(call place,755,packaging/initramfs-tools/load-vmm,$(INITRAMFS_TOOLS)/scripts/init-top)

INSTALLED_MODULE := $(call place_as,644,$(MODULE_FILE),/lib/modules/$(MODULE_RELEASE)/extra/vmm.ko)

# What mk/build-module wants, as it lies here.
INSTALLED_DKMS := \
	$(call place,644,packaging/dkms/dkms.conf.in LICENSE,$(DKMS_FOLDER)) \
	$(call place,755,mk/build-module,$(DKMS_FOLDER)/mk) \
	$(foreach file,$(MODULE_SRCS),$(call place_as,644,$(file),$(DKMS_FOLDER)/$(file)))

.PHONY: install install-dkms uninstall
install:
	$(Q)mk/install-files $(MANIFEST) $(INSTALLED) $(INSTALLED_MODULE)
	$(Q)$(if $(DESTDIR),,/sbin/depmod $(MODULE_RELEASE) && /sbin/ldconfig)

install-dkms:
	$(Q)mk/install-files $(MANIFEST) $(INSTALLED) $(INSTALLED_DKMS)
	$(Q)$(if $(DESTDIR),,/sbin/ldconfig)

# What DKMS has built of the source goes before the source does.
uninstall:
	$(Q)$(if $(DESTDIR),,! command -v dkms >/dev/null || [ -z "$$(dkms status vmm/$(VERSION))" ] || \
		dkms remove vmm/$(VERSION) --all)
	$(Q)mk/uninstall-files $(MANIFEST)
	$(Q)$(if $(DESTDIR),,/sbin/depmod $(MODULE_RELEASE) && /sbin/ldconfig)
