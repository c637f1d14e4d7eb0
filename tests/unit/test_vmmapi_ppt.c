// SPDX-License-Identifier: BSD-2-Clause
/* libvmmapi about devices of the host: which argument goes where. */
#include <errno.h>

#include <vmmapi.h>

#include "unit.h"
#include "vmmapi/device.h"

static struct vmctx *ctx;

static void start(void)
{
	device_reset();
	ctx = vm_openf(DEVICE_NAME, VMMAPI_OPEN_CREATE);
	REQUIRE(ctx);
}

/* All requests begin with the device's place, MSI's after a number that is not used. */
static void check_place(unsigned long request, int bus, int slot, int func)
{
	CHECK_EQ(device.ppt_request, request);
	CHECK_EQ(bus, 258);
	CHECK_EQ(slot, 3);
	CHECK_EQ(func, 4);
}

#define CHECK_PLACE(request, form) \
	check_place(request, device.ppt.form.bus, device.ppt.form.slot, device.ppt.form.func)

TEST(a_device_comes_and_goes)
{
	start();
	CHECK_EQ(vm_assign_pptdev(ctx, 258, 3, 4), 0);
	CHECK_PLACE(VM_BIND_PPTDEV, place);
	CHECK_EQ(vm_unassign_pptdev(ctx, 258, 3, 4), 0);
	CHECK_PLACE(VM_UNBIND_PPTDEV, place);
	CHECK_EQ(vm_reset_pptdev(ctx, 258, 3, 4), 0);
	CHECK_PLACE(VM_PPTDEV_RESET, place);
	CHECK_EQ(vm_assign_pptdev(ctx, 0, 31, 0), -1);
	CHECK_EQ(errno, ENOENT);
	vm_destroy(ctx);
}

TEST(its_registers)
{
	start();
	CHECK_EQ(vm_map_pptdev_mmio(ctx, 258, 3, 4, 0xc0000000, 0x2000, 0xd0000000), 0);
	CHECK_PLACE(VM_MAP_PPTDEV_MMIO, mmio);
	CHECK_EQ(device.ppt.mmio.gpa, 0xc0000000);
	CHECK_EQ(device.ppt.mmio.len, 0x2000);
	CHECK_EQ(device.ppt.mmio.hpa, 0xd0000000);
	CHECK_EQ(vm_unmap_pptdev_mmio(ctx, 258, 3, 4, 0xc0001000, 0x3000), 0);
	CHECK_PLACE(VM_UNMAP_PPTDEV_MMIO, mmio);
	CHECK_EQ(device.ppt.mmio.gpa, 0xc0001000);
	CHECK_EQ(device.ppt.mmio.len, 0x3000);
	vm_destroy(ctx);
}

TEST(its_interrupts)
{
	int msi = 0, msix = 0;

	start();
	CHECK_EQ(vm_setup_pptdev_msi(ctx, 258, 3, 4, 0xfee01000, 0x41, 2), 0);
	CHECK_PLACE(VM_PPTDEV_MSI, msi);
	CHECK_EQ(device.ppt.msi.addr, 0xfee01000);
	CHECK_EQ(device.ppt.msi.msg, 0x41);
	CHECK_EQ(device.ppt.msi.numvec, 2);
	CHECK_EQ(vm_setup_pptdev_msix(ctx, 258, 3, 4, 7, 0xfee02000, 0x42, 1), 0);
	CHECK_PLACE(VM_PPTDEV_MSIX, msix);
	CHECK_EQ(device.ppt.msix.idx, 7);
	CHECK_EQ(device.ppt.msix.addr, 0xfee02000);
	CHECK_EQ(device.ppt.msix.msg, 0x42);
	CHECK_EQ(device.ppt.msix.vector_control, 1);
	CHECK_EQ(vm_disable_pptdev_msix(ctx, 258, 3, 4), 0);
	CHECK_PLACE(VM_PPTDEV_DISABLE_MSIX, place);
	CHECK_EQ(vm_setup_pptdev_intx(ctx, 258, 3, 4, 19), 0);
	CHECK_PLACE(VM_PPTDEV_INTX, intx);
	CHECK_EQ(device.ppt.intx.ioapic_irq, 19);
	CHECK_EQ(vm_get_pptdev_limits(ctx, 258, 3, 4, &msi, &msix), 0);
	CHECK_PLACE(VM_PPTDEV_LIMITS, limits);
	CHECK_EQ(msi, 4);
	CHECK_EQ(msix, 65);
	vm_destroy(ctx);
}
