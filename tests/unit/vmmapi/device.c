// SPDX-License-Identifier: BSD-2-Clause
/* The module's device files, played in the process. */
#include "vmmapi/device.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define MOST_FILES 64

enum file_kind { OTHER_FILE, CONTROL_FILE, VM_FILE };

struct device device = { .memory = -1 };
static enum file_kind files[MOST_FILES];

int __real_open(const char *path, int flags, ...);
int __real_close(int fd);
int __wrap_open(const char *path, int flags, ...);
int __wrap_close(int fd);
int __wrap_ioctl(int fd, unsigned long request, ...);
void *__real_mmap(void *address, size_t len, int prot, int flags, int fd, off_t offset);
void *__wrap_mmap(void *address, size_t len, int prot, int flags, int fd, off_t offset);

void device_reset(void)
{
	if (device.memory >= 0)
		__real_close(device.memory);
	memset(&device, 0, sizeof(device));
	device.fault_at = UINT64_MAX;
	device.memory = memfd_create("guest", MFD_CLOEXEC);
}

uint32_t device_u32(uint64_t offset)
{
	uint32_t value = 0;

	return pread(device.memory, &value, sizeof(value), (off_t)offset) == sizeof(value) ? value :
											     0;
}

static int give_file(int fd, enum file_kind kind)
{
	if (fd < 0 || fd >= MOST_FILES)
		return fd;
	files[fd] = kind;
	device.open_controls += kind == CONTROL_FILE;
	device.open_vms += kind == VM_FILE;
	return fd;
}

static int no(int error)
{
	errno = error;
	return -1;
}

int __wrap_open(const char *path, int flags, ...)
{
	if (strcmp(path, "/dev/vmmctl") == 0)
		return give_file(__real_open("/dev/null", O_RDWR), CONTROL_FILE);
	if (strcmp(path, "/dev/vmm/" DEVICE_NAME) == 0)
		return device.exists ? give_file(dup(device.memory), VM_FILE) : no(ENOENT);
	if (strcmp(path, "/dev/vmm.io/" DEVICE_NAME ".rom") == 0)
		return memfd_create("rom", MFD_CLOEXEC);
	return strncmp(path, "/dev/vmm", 8) == 0 ? no(ENOENT) : __real_open(path, flags, 0600);
}

int __wrap_close(int fd)
{
	if (fd >= 0 && fd < MOST_FILES) {
		device.open_controls -= files[fd] == CONTROL_FILE;
		device.open_vms -= files[fd] == VM_FILE;
		files[fd] = OTHER_FILE;
	}
	return __real_close(fd);
}

/* Where in the memfd a guest-physical address is that a mapping of system memory has. */
static bool find_memory(uint64_t gpa, off_t *offset)
{
	for (int i = 0; i < device.mapping_count; i++) {
		const struct vm_memmap *map = &device.mappings[i];

		if (map->segid == 0 && gpa >= map->gpa && gpa - map->gpa < map->len) {
			*offset = map->segoff + (off_t)(gpa - map->gpa);
			return true;
		}
	}
	return false;
}

void *__wrap_mmap(void *address, size_t len, int prot, int flags, int fd, off_t offset)
{
	if (fd >= 0 && fd < MOST_FILES && files[fd] == VM_FILE &&
	    !find_memory((uint64_t)offset, &offset)) {
		errno = EFAULT;
		return MAP_FAILED;
	}
	return __real_mmap(address, len, prot, flags, fd, offset);
}

static int create(const struct vmmctl_vm_create *request)
{
	if (device.exists || device.race) {
		device.exists = true;
		return no(EEXIST);
	}
	device.exists = true;
	device.creations++;
	device.create_flags = request->flags;
	return 0;
}

static int destroy(void)
{
	if (!device.exists)
		return no(ENOENT);
	device.exists = false;
	return 0;
}

static int alloc_segment(const struct vm_memseg *request)
{
	if (request->segid < 0 || request->segid >= DEVICE_SEGMENTS)
		return no(EINVAL);
	if (device.segments[request->segid].len)
		return no(EEXIST);
	device.segments[request->segid] = *request;
	return request->segid == 0 ? ftruncate(device.memory, (off_t)request->len) : 0;
}

static int get_segment(struct vm_memseg *request)
{
	if (request->segid < 0 || request->segid >= DEVICE_SEGMENTS)
		return no(EINVAL);
	*request = device.segments[request->segid];
	return 0;
}

static int add_mapping(const struct vm_memmap *request)
{
	if (device.mapping_count == DEVICE_MAPPINGS)
		return no(ENOSPC);
	device.mappings[device.mapping_count++] = *request;
	return 0;
}

static int next_mapping(struct vm_memmap *request)
{
	const struct vm_memmap *best = NULL;

	for (int i = 0; i < device.mapping_count; i++) {
		const struct vm_memmap *map = &device.mappings[i];

		if (map->gpa >= request->gpa && (!best || map->gpa < best->gpa))
			best = map;
	}
	if (!best)
		return no(ENOENT);
	*request = *best;
	return 0;
}

static int get_stats(struct vm_stats *request)
{
	request->num_entries = 0;
	for (int i = request->index; i < device.counters && request->num_entries < MAX_VM_STATS;
	     i++)
		request->statbuf[request->num_entries++] = 1000 + (uint64_t)i;
	request->tv.tv_sec = 12;
	request->tv.tv_usec = 34;
	return 0;
}

static int get_stat_desc(struct vm_stat_desc *request)
{
	if (request->index < 0 || request->index >= device.counters)
		return no(EINVAL);
	snprintf(request->desc, sizeof(request->desc), "counter %d", request->index);
	return 0;
}

static int translate(struct vm_gla2gpa *request)
{
	request->fault = (request->gla & ~0xfffull) == device.fault_at;
	device.page_faults += request->fault;
	request->gpa = DEVICE_TRANSLATE(request->gla);
	return 0;
}

static int reinit(void)
{
	if (device.running)
		return no(EBUSY);
	device.reinits++;
	return 0;
}

static int set_register(const struct vm_register *request)
{
	if (device.register_error)
		return no(device.register_error);
	device.registers[request->regnum] = request->regval;
	return 0;
}

static int set_descriptor(const struct vm_seg_desc *request)
{
	if (device.register_error)
		return no(device.register_error);
	device.descriptors[request->regnum] = request->desc;
	return 0;
}

static int get_register(struct vm_register *request)
{
	request->regval = device.registers[request->regnum];
	return 0;
}

static int get_descriptor(struct vm_seg_desc *request)
{
	request->desc = device.descriptors[request->regnum];
	return 0;
}

static int set_registers(const struct vm_register_set *request)
{
	for (unsigned int i = 0; i < request->count; i++)
		device.registers[request->regnums[i]] = request->regvals[i];
	return 0;
}

static int get_registers(const struct vm_register_set *request)
{
	for (unsigned int i = 0; i < request->count; i++)
		request->regvals[i] = device.registers[request->regnums[i]];
	return 0;
}

static int inject_exception(const struct vm_exception *request)
{
	device.exception = *request;
	device.exceptions++;
	return 0;
}

static int access_device(struct vm_readwrite_kernemu_device *request, bool write)
{
	device.access = *request;
	if (!write)
		request->value = 0x1122334455667788;
	return 0;
}

static int set_mtrr(const struct vm_mtrr *request)
{
	device.mtrr = *request;
	return 0;
}

static int get_mtrr(struct vm_mtrr *request)
{
	if (request->msr != device.mtrr.msr)
		return no(EINVAL);
	request->value = device.mtrr.value;
	return 0;
}

static int about_pptdev(unsigned long request, void *argument)
{
	device.ppt_request = request;
	memcpy(&device.ppt, argument, _IOC_SIZE(request));
	if (request == VM_PPTDEV_LIMITS) {
		((struct vm_pptdev_limits *)argument)->msi_limit = 4;
		((struct vm_pptdev_limits *)argument)->msix_limit = 65;
	}
	return device.ppt.place.slot == 31 ? no(ENOENT) : 0;
}

static int get_topology(struct vm_cpu_topology *request)
{
	*request = (struct vm_cpu_topology){ 1, 1, 1, device.maxcpus };
	return 0;
}

/* The clock's registers and the status registers, as in the module. */
static int write_rtc(const struct vm_rtc_data *request)
{
	return request->offset < 0x0e || request->offset > 127 ? no(EINVAL) : 0;
}

static int control_ioctl(unsigned long request, void *argument)
{
	switch (request) {
	case VMMCTL_VM_CREATE:
		return create(argument);
	case VMMCTL_VM_DESTROY:
		return destroy();
	default:
		return no(ENOTTY);
	}
}

static int vm_ioctl(unsigned long request, void *argument)
{
	switch (request) {
	case VM_REINIT:
		return reinit();
	case VM_ALLOC_MEMSEG:
		return alloc_segment(argument);
	case VM_GET_MEMSEG:
		return get_segment(argument);
	case VM_MMAP_MEMSEG:
		return add_mapping(argument);
	case VM_MMAP_GETNEXT:
		return next_mapping(argument);
	case VM_STATS:
		return get_stats(argument);
	case VM_STAT_DESC:
		return get_stat_desc(argument);
	case VM_GLA2GPA:
		return translate(argument);
	case VM_SET_REGISTER:
		return set_register(argument);
	case VM_GET_REGISTER:
		return get_register(argument);
	case VM_SET_REGISTER_SET:
		return set_registers(argument);
	case VM_GET_REGISTER_SET:
		return get_registers(argument);
	case VM_SET_SEGMENT_DESCRIPTOR:
		return set_descriptor(argument);
	case VM_GET_SEGMENT_DESCRIPTOR:
		return get_descriptor(argument);
	case VM_GET_TOPOLOGY:
		return get_topology(argument);
	case VM_RTC_WRITE:
		return write_rtc(argument);
	case VM_GET_CAPABILITY:
	case VM_SET_CAPABILITY:
		return device.capability_error ? no(device.capability_error) : 0;
	case VM_INJECT_EXCEPTION:
		return inject_exception(argument);
	case VM_GET_KERNEMU_DEV:
	case VM_SET_KERNEMU_DEV:
		return access_device(argument, request == VM_SET_KERNEMU_DEV);
	case VM_SET_MTRR:
		return set_mtrr(argument);
	case VM_GET_MTRR:
		return get_mtrr(argument);
	case VM_BIND_PPTDEV:
	case VM_UNBIND_PPTDEV:
	case VM_MAP_PPTDEV_MMIO:
	case VM_UNMAP_PPTDEV_MMIO:
	case VM_PPTDEV_MSI:
	case VM_PPTDEV_MSIX:
	case VM_PPTDEV_DISABLE_MSIX:
	case VM_PPTDEV_INTX:
	case VM_PPTDEV_RESET:
	case VM_PPTDEV_LIMITS:
		return about_pptdev(request, argument);
	default:
		return no(ENOTTY);
	}
}

int __wrap_ioctl(int fd, unsigned long request, ...)
{
	va_list args;
	void *argument;

	va_start(args, request);
	argument = va_arg(args, void *);
	va_end(args);
	if (fd < 0 || fd >= MOST_FILES)
		return no(EBADF);
	switch (files[fd]) {
	case CONTROL_FILE:
		return control_ioctl(request, argument);
	case VM_FILE:
		return vm_ioctl(request, argument);
	default:
		return no(ENOTTY);
	}
}
