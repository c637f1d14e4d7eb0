# SPDX-License-Identifier: BSD-2-Clause
#
# vmm: bhyve's virtual machine monitor for Linux. `make help` lists the targets.

KERNELS ?= 6.1 6.12
RUN_KERNEL := $(word 1,$(KERNELS))
HOST ?= amd
VMM_CACHE ?= $(HOME)/.cache/vmm
export VMM_CACHE

CC = gcc
CLANG = clang
O := build

# Called with V=1 every command is shown; otherwise one short line per result.
ifeq ($(V),1)
Q :=
say = @:
else
Q := @
say = @printf '  %-8s %s\n'
endif
MAKEFLAGS += --no-print-directory

# As many jobs as there are processors, unless the command line says otherwise.
ifeq ($(MAKELEVEL),0)
MAKEFLAGS += -j$(shell nproc)
endif

.DELETE_ON_ERROR:
.SUFFIXES:
.SECONDARY:

.PHONY: all
all: programs modules

include mk/user.mk
include mk/module.mk
include mk/install.mk
include mk/tests.mk
include mk/bench.mk

# Order-only prerequisites of what needs them: they cost little when all is there.
.PHONY: setup-build setup-lab setup-check
setup-build setup-lab setup-check: setup-%:
	@lab/setup $* $(KERNELS)
$(patsubst %,setup-kernel-%,$(sort $(KERNELS) debug)): setup-kernel-%:
	@lab/setup lab $*

# The main job: an emulated AMD host, vmm.ko in it, and a Linux guest on that.
.PHONY: run
run: programs $(O)/module/$(RUN_KERNEL)/vmm.ko
	@lab/run --no-build --host $(HOST) --kernel $(RUN_KERNEL) $(GUEST_ELF) -- /lab/boot-guest

# A compressed kernel takes a slow host minutes.
GUEST_ELF = $(if $(filter-out amd,$(HOST)),--guest-elf)

.PHONY: clean
clean:
	rm -rf $(O)

.PHONY: help
help:
	@sed -n 's/^#: //p' $(MAKEFILE_LIST)

#: make              build the commands, the library and the module (Debian's 6.1 and 6.12)
#: make run          boot a Linux guest on vmm.ko in an emulated AMD host
#: make check        run all tests; the last line is "N passed, N failed"
#: make check-unit   the portable parts of the module in a process, under ASan and UBSan
#: make check-fuzz   fuzz them, FUZZ_SECONDS (10) for each target
#: make check-guest  small guests that assert one fact each, on an emulated host
#: make check-host   the module in an emulated host: load, permissions, life cycle, a Linux guest
#: make check-amd-bochs, check-intel   both on an emulated host with other features
#: make check-passthrough  guests with devices of an emulated host, behind VT-d and AMD-Vi
#: make check-machine guests with bhyve's own disk and network, booted by firmware
#: make check-memtest  one pass of memtest86+ with 2 CPUs, by hand: not part of `make check`
#: make check-debug  the host tests on a kernel with KASAN, UBSAN, lockdep and kmemleak, by hand
#: make check-lab    the emulated hosts themselves: exit status, timeout, trouble is noticed
#: make check-config loader.conf, what is installed where, the initramfs, DKMS
#: make check-style  formatting and static analysis
#: make bench-quick  what each kind of exit costs under KVM and here, on the counting AMD host
#: make bench        the same on the hosts under Bochs, too; writes docs/performance.md
#: make native       build for the kernel of this machine (wants its headers)
#: make install      install what "make native" built (DESTDIR, PREFIX)
#: make install-dkms install what "make programs" built, and the module's source for DKMS
#: make uninstall    take away what they have installed
#: make clean        remove build/
#:
#: HOST=amd          the emulated host that run, check-guest and check-host use
#: KERNELS="6.1"     the kernels to build for; the first is the one that `make run` boots
#: V=1               show each command
