// SPDX-License-Identifier: BSD-2-Clause
/* Passthrough: parameters, who gets what, what the device reaches, its interrupts. */
#include "unit.h"

#include "api/ioctl.h"
#include "dev/ioapic.h"
#include "dev/lapic.h"
#include "fake_backend.h"
#include "ppt/device.h"

#define MIB	 0x100000ull
#define BAR0	 0xd0000000ull
#define BAR2	 0xe0000000ull
#define WINDOW	 0xc0000000ull
#define MSI_ADDR 0xfee00000ull

static struct vm *vm;
static struct vcpu *cpu;

/* Slot 7: a 1 MiB BAR, a prefetchable one with the MSI-X table in its second page. */
static const struct os_pci_info info = {
	.address = { .slot = 7 },
	.bar = {
		[0] = { .base = BAR0, .size = MIB },
		[1] = { .base = 0xc000, .size = 0x100, .io = true },
		[2] = { .base = BAR2, .size = 4 * MIB, .prefetchable = true },
		[4] = { .base = 0xd8000100, .size = 0x100 },
	},
	.group = 5,
	.msi_vectors = 4,
	.msix_vectors = 16,
	.msix_table_bar = 2,
	.msix_table_offset = 0x1800,
	.msix_pba_bar = 2,
	.msix_pba_offset = 0x3000,
	.intx = true,
};

static struct os_pci *add(unsigned int slot, int group)
{
	struct os_pci_info other = info;

	other.address.slot = (uint8_t)slot;
	other.group = group;
	return os_user_pci_add(&other);
}

/* A VM, and a first device. */
static struct os_pci *set_up(unsigned int slot, int group)
{
	vm = fake_vm_create(2);
	cpu = fake_vm_vcpu(vm, 0);
	ppt_init();
	os_user_pci_driver(ppt_add);
	CHECK_EQ(lapic_mmio_write(cpu, 0xf0, 4, 0x1ff), 0);
	return add(slot, group);
}

static void forget(struct os_pci *pci)
{
	ppt_remove(pci->device);
	pci->device = NULL;
}

static void tear_down(void)
{
	fake_vm_destroy(vm);
	CHECK_EQ(os_user_iommus(), 0);
}

static int command_of(struct vm *owner, unsigned int command, const void *arg)
{
	uint64_t buffer[IOCTL_MAX_ARG / sizeof(uint64_t)] = { 0 };

	memcpy(buffer, arg, _IOC_SIZE(command));
	return ioctl_run(owner, ioctl_lookup(command), buffer);
}

static int command(unsigned int number, const void *arg)
{
	return command_of(vm, number, arg);
}

static int bind(struct vm *owner, int slot)
{
	return command_of(owner, VM_BIND_PPTDEV, &(struct vm_pptdev){ .slot = slot });
}

static int unbind(int slot)
{
	return command(VM_UNBIND_PPTDEV, &(struct vm_pptdev){ .slot = slot });
}

static bool logged(const char *words)
{
	return strstr(os_user_last_log(), words);
}

static void add_ram(uint64_t gpa, uint64_t len, int segid)
{
	struct vm_memseg seg = { .segid = segid, .len = len };
	struct vm_memmap map = { .gpa = gpa, .segid = segid, .len = len, .prot = VM_PROT_ALL };

	REQUIRE(command(VM_ALLOC_MEMSEG, &seg) == 0);
	REQUIRE(command(VM_MMAP_MEMSEG, &map) == 0);
}

/* --- parameters ----------------------------------------------------------- */

static int parse(const char *text, struct os_pci_address *address)
{
	return ppt_parse_address(text, strlen(text), address);
}

TEST(places_in_decimal)
{
	struct os_pci_address address;

	CHECK_EQ(parse("10/0/5", &address), 0);
	CHECK(address.domain == 0 && address.bus == 10 && address.slot == 0 &&
	      address.function == 5);
	CHECK_EQ(parse("65535/255/31/7", &address), 0);
	CHECK(address.domain == 65535 && address.bus == 255 && address.slot == 31 &&
	      address.function == 7);
}

TEST(malformed_places)
{
	static const char *const texts[] = {
		"",	   "/",	     "1",	    "1/2",     "1/2/",	 "1/2/3/",	"1/2/3/4/5",
		"256/0/0", "0/32/0", "0/0/8",	    "0x1/2/3", "a/b/c",	 "-1/2/3",	"1//3",
		"1/2/3x",  " 1/2/3", "65536/0/0/0", "1:2:3",   "1/2/3 ", "100000/0/0/0"
	};
	struct os_pci_address address;

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		CHECK_EQ_AT(parse(texts[i], &address), -EINVAL, "'%s'", texts[i]);
}

TEST(one_line_reserves_several)
{
	struct os_pci *a = set_up(1, 1), *b = add(2, 2), *c = add(3, 3);

	ppt_reserve("pptdevs", "0/1/0  0/2/0\t0/3/0 ");
	CHECK(a->device && b->device && c->device);
	CHECK_EQ(ppt_devices, 3);
	ppt_reserve("pptdevs2", "0/1/0");
	ppt_reserve("pptdevs3", NULL);
	CHECK_EQ(ppt_devices, 3);
	CHECK(ppt_wanted(&a->info.address));
	CHECK(!ppt_wanted(&(struct os_pci_address){ .slot = 9 }));
	forget(a), forget(b), forget(c);
	CHECK_EQ(ppt_devices, 0);
	tear_down();
}

TEST(what_cannot_be_reserved_is_named)
{
	struct os_pci *held = set_up(1, 1), *bridge = add(2, 2), *good = add(3, 3);

	strcpy(held->holder, "nvme");
	bridge->bridge = true;
	ppt_reserve("pptdevs", "nonsense");
	CHECK(logged("pptdevs: 'nonsense' is not BUS/SLOT/FUNCTION"));
	ppt_reserve("pptdevs2", "0/1/0");
	CHECK(logged("pptdevs2: 0/1/0: 0000:00:01.0 stays with its driver nvme"));
	CHECK(logged("bhyvectl --ppt-attach=0/1/0"));
	ppt_reserve("pptdevs", "0/2/0");
	CHECK(logged("is a bridge"));
	ppt_reserve("pptdevs", "3/0/9/0");
	CHECK(logged("3/0/9/0: there is no device 0003:00:09.0"));
	ppt_reserve("pptdevs", "x 0/1/0 0/2/0 9/9/9 0/9/0 0/3/0");
	CHECK(good->device && !held->device && !bridge->device);
	forget(good);
	tear_down();
}

/* --- assigning ------------------------------------------------------------ */

TEST(assigned_and_given_back)
{
	struct os_pci *pci = set_up(7, 5);
	char owner[64];

	ppt_reserve("pptdevs", "0/7/0");
	CHECK_EQ(bind(vm, 7), 0);
	CHECK_EQ(pci->resets, 1);
	CHECK(pci->iommu);
	ppt_owner(pci->device, owner, sizeof(owner));
	CHECK_STR(owner, vm->name);
	CHECK_EQ(ppt_prepare_removal(pci->device), -EBUSY);
	/* Once more is a fresh start. */
	CHECK_EQ(bind(vm, 7), 0);
	CHECK_EQ(pci->resets, 2);
	CHECK_EQ(unbind(7), 0);
	CHECK_EQ(pci->resets, 3);
	CHECK(!pci->iommu);
	CHECK_EQ(unbind(7), -ENOENT);
	CHECK_EQ(ppt_prepare_removal(pci->device), 0);
	CHECK_EQ(bind(vm, 7), -ENOENT);
	forget(pci);
	ppt_reserve("pptdevs", "0/7/0");
	CHECK_EQ(bind(vm, 7), 0);
	CHECK_EQ(unbind(7), 0);
	forget(pci);
	tear_down();
}

TEST(destroying_the_vm_gives_back)
{
	struct os_pci *pci = set_up(7, 5);

	add_ram(0, 4 * MIB, 0);
	ppt_reserve("pptdevs", "0/7/0");
	CHECK_EQ(bind(vm, 7), 0);
	CHECK_EQ(command(VM_PPTDEV_MSI,
			 &(struct vm_pptdev_msi){ .slot = 7, .numvec = 2, .addr = MSI_ADDR }),
		 0);
	vm_destroy(vm);
	CHECK(!pci->iommu);
	CHECK_EQ(pci->kind, OS_PCI_NONE);
	CHECK_EQ(pci->resets, 2);
	CHECK_EQ(bind(vm, 7), -ENXIO);
	forget(pci);
	tear_down();
}

TEST(device_that_goes_leaves_its_vm)
{
	struct os_pci *pci = set_up(7, 5);

	add_ram(0, 2 * MIB, 0);
	ppt_reserve("pptdevs", "0/7/0");
	CHECK_EQ(bind(vm, 7), 0);
	forget(pci);
	CHECK(!pci->iommu);
	CHECK_EQ(unbind(7), -ENOENT);
	tear_down();
}

TEST(refusals)
{
	struct os_pci *pci = set_up(7, 5), *other = add(8, 5), *alone = add(9, -1);
	struct vm *second;

	REQUIRE(vm_create("second", 1, &second) == 0);
	CHECK_EQ(bind(vm, 7), -ENOENT);
	CHECK(logged("0000:00:07.0") && logged("not reserved"));
	ppt_reserve("pptdevs", "0/7/0 0/8/0 0/9/0");
	CHECK_EQ(bind(vm, 9), -ENOTSUP);
	CHECK(logged("no IOMMU"));
	os_user_pci_policy(false, false);
	CHECK_EQ(bind(vm, 7), -EPERM);
	CHECK(logged("only root"));
	os_user_pci_policy(true, false);

	pci->isolated = false;
	CHECK_EQ(bind(vm, 7), -EACCES);
	CHECK(logged("forge interrupts"));
	os_user_pci_policy(true, true);
	CHECK_EQ(bind(vm, 7), 0);
	CHECK_EQ(unbind(7), 0);
	pci->isolated = true;

	pci->reset_error = -EIO;
	CHECK_EQ(bind(vm, 7), -EIO);
	CHECK(logged("reset failed"));
	pci->reset_error = -EAGAIN;
	CHECK_EQ(bind(vm, 7), -EBUSY);
	pci->reset_error = -ENOTTY; /* has none */
	CHECK_EQ(bind(vm, 7), 0);
	CHECK_EQ(bind(second, 7), -EBUSY);
	CHECK(logged("second cannot have it"));
	CHECK_EQ(bind(second, 8), -EBUSY);
	CHECK(logged("same IOMMU group"));
	CHECK_EQ(bind(vm, 8), 0);
	CHECK_EQ(unbind(7), 0);
	CHECK_EQ(bind(second, 7), -EBUSY);
	CHECK_EQ(unbind(8), 0);

	CHECK_EQ(bind(vm, 32), -EINVAL);
	CHECK_EQ(command(VM_BIND_PPTDEV, &(struct vm_pptdev){ .bus = -1 }), -EINVAL);
	vm_put(second);
	forget(pci), forget(other), forget(alone);
	tear_down();
}

TEST(group_must_be_whole)
{
	struct os_pci *pci = set_up(7, 5);

	ppt_reserve("pptdevs", "0/7/0");
	pci->peers = 3;
	pci->peer[0] = (struct os_pci_peer){ .name = "0000:00:06.0", .bridge = true };
	pci->peer[1] = (struct os_pci_peer){ .name = "0000:00:07.0", .ours = true };
	pci->peer[2] = (struct os_pci_peer){ .name = "0000:00:07.1", .driver = "e1000e" };
	CHECK_EQ(bind(vm, 7), -EXDEV);
	CHECK(logged("0000:00:07.1, with driver e1000e, is not reserved"));
	CHECK_EQ(pci->resets, 0);
	pci->peer[2].ours = true;
	CHECK_EQ(bind(vm, 7), 0);
	CHECK_EQ(unbind(7), 0);
	forget(pci);
	tear_down();
}

/* --- DMA ------------------------------------------------------------------ */

TEST(dma_reaches_the_guests_ram_and_nothing_else)
{
	struct vm_memmap rom = { .gpa = 64 * MIB, .segid = 1, .len = 0x3000, .prot = VM_PROT_READ };
	struct os_pci *pci = set_up(7, 5);

	add_ram(0, 4 * MIB + 0x5000, 0);
	ppt_reserve("pptdevs", "0/7/0");
	CHECK_EQ(bind(vm, 7), 0);
	for (uint64_t gpa = 0; gpa < 4 * MIB + 0x5000; gpa += OS_PAGE_SIZE)
		CHECK_EQ(os_user_dma(pci, gpa, true),
			 (uintptr_t)memory_hva(vm, gpa, VM_PROT_WRITE));
	CHECK_EQ(os_user_dma(pci, 4 * MIB + 0x5000, false), 0);

	/* What comes later is reached, what goes is not. */
	REQUIRE(command(VM_ALLOC_MEMSEG, &(struct vm_memseg){ .segid = 1, .len = 0x3000 }) == 0);
	CHECK_EQ(command(VM_MMAP_MEMSEG, &rom), 0);
	CHECK(os_user_dma(pci, rom.gpa, false));
	CHECK_EQ(os_user_dma(pci, rom.gpa, true), 0);
	CHECK_EQ(command(VM_MUNMAP_MEMSEG, &(struct vm_munmap){ .gpa = rom.gpa, .len = rom.len }),
		 0);
	CHECK_EQ(os_user_dma(pci, rom.gpa, false), 0);
	CHECK(os_user_dma(pci, 0, true));

	/* Device memory of programs is no memory for devices. */
	REQUIRE(command(VM_ALLOC_MEMSEG,
			&(struct vm_memseg){ .segid = 2, .len = 0x1000, .name = "rom" }) == 0);
	rom = (struct vm_memmap){ .gpa = 80 * MIB, .segid = 2, .len = 0x1000, .prot = VM_PROT_READ };
	CHECK_EQ(command(VM_MMAP_MEMSEG, &rom), 0);
	CHECK_EQ(os_user_dma(pci, rom.gpa, false), 0);
	vm_destroy(vm);
	CHECK_EQ(os_user_dma(pci, 0, false), 0);
	forget(pci);
	tear_down();
}

static int flags_at_0(void)
{
	struct vm_memmap map = { .gpa = 0 };

	CHECK_EQ(memory_getnext(vm, &map), 0);
	return map.flags;
}

TEST(ram_is_wired_and_says_so)
{
	struct os_pci *pci = set_up(7, 5);
	uint64_t entries[5];

	add_ram(0, 4 * MIB, 0);
	ppt_reserve("pptdevs", "0/7/0");
	CHECK_EQ(flags_at_0(), 0);
	CHECK_EQ(bind(vm, 7), 0);
	CHECK_EQ(flags_at_0(), VM_MEMMAP_F_WIRED | VM_MEMMAP_F_IOMMU);
	CHECK(npt_lookup(&vm->npt, 3 * MIB, entries) == 3);
	CHECK_EQ(unbind(7), 0);
	CHECK_EQ(flags_at_0(), VM_MEMMAP_F_WIRED);
	forget(pci);
	tear_down();
}

TEST(without_room_for_the_map_nothing_is_left)
{
	struct vm_memmap more = { .gpa = 64 * MIB, .segid = 1, .len = 0x3000, .prot = VM_PROT_ALL };
	struct os_pci *pci = set_up(7, 5);

	add_ram(0, 8 * MIB, 0);
	ppt_reserve("pptdevs", "0/7/0");
	os_user_fail_iommu_map(3);
	CHECK_EQ(bind(vm, 7), -ENOMEM);
	CHECK_EQ(os_user_iommus(), 0);
	pci->attach_error = -EBUSY;
	CHECK_EQ(bind(vm, 7), -EBUSY);
	CHECK_EQ(os_user_iommus(), 0);
	pci->attach_error = 0;
	CHECK_EQ(bind(vm, 7), 0);

	REQUIRE(command(VM_ALLOC_MEMSEG, &(struct vm_memseg){ .segid = 1, .len = 0x3000 }) == 0);
	os_user_fail_iommu_map(2);
	CHECK_EQ(command(VM_MMAP_MEMSEG, &more), -ENOMEM);
	CHECK_EQ(os_user_dma(pci, more.gpa, false), 0);
	CHECK(!memory_lookup(vm, more.gpa));
	CHECK_EQ(command(VM_MMAP_MEMSEG, &more), 0);
	vm_destroy(vm);
	forget(pci);
	tear_down();
}

/* --- registers ------------------------------------------------------------ */

static int map_bar(uint64_t gpa, uint64_t hpa, uint64_t len)
{
	struct vm_pptdev_mmio mmio = { .slot = 7, .gpa = gpa, .hpa = hpa, .len = len };

	return command(VM_MAP_PPTDEV_MMIO, &mmio);
}

static int unmap_bar(uint64_t gpa, uint64_t len)
{
	struct vm_pptdev_mmio mmio = { .slot = 7, .gpa = gpa, .len = len };

	return command(VM_UNMAP_PPTDEV_MMIO, &mmio);
}

static uint64_t mapped_at(uint64_t gpa)
{
	uint64_t entries[5];
	unsigned int count = npt_lookup(&vm->npt, gpa, entries);
	uint64_t value = count ? entries[count - 1] & 0xffffffffff000ull : 0;

	return count == 3 ? value + (gpa & 0x1ff000) : value;
}

TEST(bar_is_seen_by_the_guest)
{
	struct os_pci *pci = set_up(7, 5);

	add_ram(0, 2 * MIB, 0);
	ppt_reserve("pptdevs", "0/7/0");
	CHECK_EQ(map_bar(WINDOW, BAR0, MIB), -ENOENT);
	CHECK_EQ(bind(vm, 7), 0);
	CHECK_EQ(map_bar(WINDOW, BAR0, MIB), 0);
	CHECK_EQ(mapped_at(WINDOW), BAR0);
	CHECK_EQ(mapped_at(WINDOW + MIB - 0x1000), BAR0 + MIB - 0x1000);
	CHECK_EQ(mapped_at(WINDOW + MIB), 0);
	CHECK_EQ(map_bar(WINDOW + 4 * MIB, BAR2 + 2 * MIB, 2 * MIB), 0);
	CHECK_EQ(mapped_at(WINDOW + 5 * MIB), BAR2 + 3 * MIB);
	/* It is no memory. */
	CHECK(!memory_hva(vm, WINDOW, VM_PROT_READ));
	CHECK_EQ(unmap_bar(WINDOW, MIB - 0x1000), -ENOENT);
	CHECK_EQ(unmap_bar(WINDOW, MIB), 0);
	CHECK_EQ(mapped_at(WINDOW), 0);
	CHECK_EQ(unmap_bar(WINDOW, MIB), -ENOENT);
	CHECK_EQ(unbind(7), 0);
	CHECK_EQ(mapped_at(WINDOW + 5 * MIB), 0);
	CHECK_EQ(vm->memory.device_count, 0);
	forget(pci);
	tear_down();
}

TEST(pages_that_are_not_shown)
{
	struct os_pci *pci = set_up(7, 5);

	add_ram(0, 2 * MIB, 0);
	ppt_reserve("pptdevs", "0/7/0");
	CHECK_EQ(bind(vm, 7), 0);
	CHECK_EQ(map_bar(WINDOW, BAR0 - 0x1000, 0x1000), -EINVAL);
	CHECK_EQ(map_bar(WINDOW, BAR0, MIB + 0x1000), -EINVAL);
	CHECK_EQ(map_bar(WINDOW, BAR0, ~0xfffull), -EINVAL);
	CHECK_EQ(map_bar(WINDOW, BAR0 + MIB, 0x1000), -EINVAL);
	CHECK_EQ(map_bar(WINDOW, 0, 0x1000), -EINVAL);
	CHECK_EQ(map_bar(WINDOW, BAR0 + 0x800, 0x1000), -EINVAL);
	CHECK_EQ(map_bar(WINDOW, BAR0, 0x800), -EINVAL);
	CHECK_EQ(map_bar(WINDOW, BAR0, 0), -EINVAL);
	CHECK_EQ(map_bar(WINDOW + 0x800, BAR0, 0x1000), -EINVAL);
	CHECK_EQ(map_bar(WINDOW, 0xd8000000, 0x1000), -EINVAL);	   /* less than a page */
	CHECK_EQ(map_bar(WINDOW, 0xc000, 0x1000), -EINVAL);	   /* ports */
	CHECK_EQ(map_bar(WINDOW, BAR2 + 0x1000, 0x1000), -EINVAL); /* the table */
	CHECK_EQ(map_bar(WINDOW, BAR2 + 0x3000, 0x1000), -EINVAL); /* pending bits */
	CHECK_EQ(map_bar(WINDOW, BAR2, 0x2000), -EINVAL);
	CHECK_EQ(map_bar(WINDOW, BAR2 + 0x2000, 0x1000), 0);
	/* Where something is already. */
	CHECK_EQ(map_bar(WINDOW, BAR0, 0x1000), -EEXIST);
	CHECK_EQ(map_bar(MIB, BAR0, 0x1000), -EEXIST);
	CHECK_EQ(map_bar(0xfee00000, BAR0, 0x1000), -EEXIST);
	CHECK_EQ(map_bar(0xfec00000, BAR0, 0x1000), -EEXIST);
	CHECK_EQ(map_bar(1ull << 47, BAR0, 0x1000), -EINVAL);
	CHECK_EQ(unbind(7), 0);
	forget(pci);
	tear_down();
}

TEST(no_memory_over_a_bar)
{
	struct vm_memmap map = { .gpa = WINDOW, .segid = 1, .len = 0x1000, .prot = VM_PROT_ALL };
	struct os_pci *pci = set_up(7, 5);

	ppt_reserve("pptdevs", "0/7/0");
	CHECK_EQ(bind(vm, 7), 0);
	CHECK_EQ(map_bar(WINDOW, BAR0, 0x1000), 0);
	REQUIRE(command(VM_ALLOC_MEMSEG, &(struct vm_memseg){ .segid = 1, .len = 0x1000 }) == 0);
	CHECK_EQ(command(VM_MMAP_MEMSEG, &map), -EEXIST);
	CHECK_EQ(unmap_bar(WINDOW, 0x1000), 0);
	CHECK_EQ(command(VM_MMAP_MEMSEG, &map), 0);
	CHECK_EQ(unbind(7), 0);
	forget(pci);
	tear_down();
}

/* --- interrupts ----------------------------------------------------------- */

static int take(void)
{
	int vector = lapic_pending(cpu);

	if (vector >= 0) {
		lapic_accept(cpu, (uint8_t)vector);
		CHECK_EQ(lapic_mmio_write(cpu, 0xb0, 4, 0), 0);
	}
	return vector;
}

TEST(msi_arrives)
{
	struct vm_pptdev_msi msi = { .slot = 7, .numvec = 4, .addr = MSI_ADDR, .msg = 0x40 };
	struct os_pci *pci = set_up(7, 5);

	ppt_reserve("pptdevs", "0/7/0");
	CHECK_EQ(bind(vm, 7), 0);
	CHECK_EQ(command(VM_PPTDEV_MSI, &msi), 0);
	CHECK_EQ(pci->kind, OS_PCI_MSI);
	for (unsigned int i = 0; i < 4; i++) {
		CHECK(os_user_pci_fire(pci, i));
		CHECK_EQ(take(), 0x40 + i);
	}
	CHECK(!os_user_pci_fire(pci, 4));
	msi.msg = 0x50;
	CHECK_EQ(command(VM_PPTDEV_MSI, &msi), 0);
	CHECK(os_user_pci_fire(pci, 1));
	CHECK_EQ(take(), 0x51);
	msi.numvec = 3;
	CHECK_EQ(command(VM_PPTDEV_MSI, &msi), -EINVAL);
	msi.numvec = 8;
	CHECK_EQ(command(VM_PPTDEV_MSI, &msi), -EINVAL);
	msi.numvec = -1;
	CHECK_EQ(command(VM_PPTDEV_MSI, &msi), -EINVAL);
	msi.numvec = 0;
	CHECK_EQ(command(VM_PPTDEV_MSI, &msi), 0);
	CHECK(!os_user_pci_fire(pci, 0));
	pci->vectors = 2;
	msi.numvec = 4;
	CHECK_EQ(command(VM_PPTDEV_MSI, &msi), -ENOSPC);
	CHECK_EQ(pci->kind, OS_PCI_NONE);
	CHECK_EQ(unbind(7), 0);
	forget(pci);
	tear_down();
}

TEST(msix_entries_one_by_one)
{
	struct vm_pptdev_msix msix = { .slot = 7, .idx = 3, .addr = MSI_ADDR, .msg = 0x61 };
	struct os_pci *pci = set_up(7, 5);

	ppt_reserve("pptdevs", "0/7/0");
	CHECK_EQ(bind(vm, 7), 0);
	pci->vectors = 8;
	CHECK_EQ(command(VM_PPTDEV_MSIX, &msix), 0);
	CHECK(os_user_pci_fire(pci, 3));
	CHECK(!os_user_pci_fire(pci, 2));
	CHECK_EQ(take(), 0x61);
	msix.vector_control = 1;
	CHECK_EQ(command(VM_PPTDEV_MSIX, &msix), 0);
	CHECK(!os_user_pci_fire(pci, 3));
	msix.idx = 15; /* the host had no more than 8 */
	CHECK_EQ(command(VM_PPTDEV_MSIX, &msix), 0);
	msix.vector_control = 0;
	CHECK_EQ(command(VM_PPTDEV_MSIX, &msix), -ENOSPC);
	msix.idx = 16;
	CHECK_EQ(command(VM_PPTDEV_MSIX, &msix), -EINVAL);
	msix.idx = -1;
	CHECK_EQ(command(VM_PPTDEV_MSIX, &msix), -EINVAL);
	msix.idx = 0;
	CHECK_EQ(command(VM_PPTDEV_MSIX, &msix), 0);
	CHECK_EQ(command(VM_PPTDEV_DISABLE_MSIX, &(struct vm_pptdev){ .slot = 7 }), 0);
	CHECK_EQ(pci->kind, OS_PCI_NONE);
	CHECK_EQ(unbind(7), 0);
	forget(pci);
	tear_down();
}

TEST(interrupts_follow_their_vcpu)
{
	struct vm_pptdev_msi msi = { .slot = 7, .numvec = 1, .addr = MSI_ADDR, .msg = 0x40 };
	struct os_pci *pci = set_up(7, 5);

	ppt_reserve("pptdevs", "0/7/0");
	CHECK_EQ(bind(vm, 7), 0);
	os_user_move_to_cpu(1);
	CHECK_EQ(vcpu_run(cpu), 0);
	os_user_move_to_cpu(0);
	CHECK_EQ(command(VM_PPTDEV_MSI, &msi), 0);
	CHECK_EQ(pci->vector[0].cpu, 1);
	pci->vector[0].cpu = 0;
	for (unsigned int i = 0; i < 100; i++)
		CHECK(os_user_pci_fire(pci, 0));
	CHECK_EQ(pci->vector[0].cpu, 1);
	CHECK_EQ(unbind(7), 0);
	forget(pci);
	tear_down();
}

static void ioapic_put(uint8_t reg, uint32_t value)
{
	ioapic_mmio_write(vm, 0x00, 4, reg);
	ioapic_mmio_write(vm, 0x10, 4, value);
}

TEST(line_is_masked_until_the_guest_is_done)
{
	struct vm_pptdev_intx intx = { .slot = 7, .ioapic_irq = 20 };
	struct os_pci *pci = set_up(7, 5);

	ppt_reserve("pptdevs", "0/7/0");
	CHECK_EQ(bind(vm, 7), 0);
	ioapic_put(0x11 + 2 * 20, 0);
	ioapic_put(0x10 + 2 * 20, 0x8000 | 0x71);
	CHECK_EQ(command(VM_PPTDEV_INTX, &intx), 0);
	pci->asks = true;
	CHECK(os_user_pci_fire(pci, 0));
	CHECK(pci->masked);
	CHECK(!os_user_pci_fire(pci, 0));
	/* The guest is done, but the device still asks: again. */
	CHECK_EQ(take(), 0x71);
	CHECK(pci->masked);
	pci->asks = false;
	CHECK_EQ(take(), 0x71);
	CHECK(!pci->masked);
	CHECK_EQ(take(), -1);
	pci->asks = true;
	CHECK(os_user_pci_fire(pci, 0));
	/* MSI instead: the line lets go of the pin. */
	CHECK_EQ(command(VM_PPTDEV_MSI,
			 &(struct vm_pptdev_msi){
				 .slot = 7, .numvec = 1, .addr = MSI_ADDR, .msg = 0x40 }),
		 0);
	CHECK_EQ(take(), 0x71);
	CHECK_EQ(take(), -1);
	intx.ioapic_irq = 32;
	CHECK_EQ(command(VM_PPTDEV_INTX, &intx), -EINVAL);
	intx.ioapic_irq = 20;
	CHECK_EQ(command(VM_PPTDEV_INTX, &intx), 0);
	intx.ioapic_irq = -1;
	CHECK_EQ(command(VM_PPTDEV_INTX, &intx), 0);
	CHECK_EQ(pci->kind, OS_PCI_NONE);
	CHECK_EQ(unbind(7), 0);
	forget(pci);
	tear_down();
}

TEST(reset_ends_interrupts_but_not_what_is_mapped)
{
	struct vm_pptdev place = { .slot = 7 };
	struct os_pci *pci = set_up(7, 5);

	ppt_reserve("pptdevs", "0/7/0");
	CHECK_EQ(bind(vm, 7), 0);
	CHECK_EQ(map_bar(WINDOW, BAR0, 0x1000), 0);
	CHECK_EQ(command(VM_PPTDEV_INTX, &(struct vm_pptdev_intx){ .slot = 7, .ioapic_irq = 20 }),
		 0);
	CHECK_EQ(command(VM_PPTDEV_RESET, &place), 0);
	CHECK_EQ(pci->kind, OS_PCI_NONE);
	CHECK_EQ(pci->resets, 2);
	CHECK_EQ(mapped_at(WINDOW), BAR0);
	/* The machine's reset takes that away as well. */
	CHECK_EQ(command(VM_REINIT, &place), 0);
	CHECK_EQ(pci->resets, 3);
	CHECK_EQ(mapped_at(WINDOW), 0);
	CHECK_EQ(unbind(7), 0);
	forget(pci);
	tear_down();
}
