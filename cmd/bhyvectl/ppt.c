// SPDX-License-Identifier: BSD-2-Clause
/*
 * Reserved devices: which there are, and moving devices between the host's drivers
 * and the driver ppt, through sysfs.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bhyvectl.h"
#include "common/pci_place.h"

#define DEVICES "/sys/bus/pci/devices"
#define DRIVER	"/sys/bus/pci/drivers/ppt"
#define PROBE	"/sys/bus/pci/drivers_probe"
#define UNBIND	DRIVER "/unbind"

/* --- sysfs ------------------------------------------------------------------------ */

/* A file's first line, without its end; "" if there is none. */
static void read_file(const char *device, const char *file, char *text, size_t size)
{
	char path[PATH_MAX];
	FILE *stream;

	text[0] = '\0';
	snprintf(path, sizeof(path), DEVICES "/%s/%s", device, file);
	stream = fopen(path, "re");
	if (!stream)
		return;
	if (!fgets(text, (int)size, stream))
		text[0] = '\0';
	text[strcspn(text, "\n")] = '\0';
	fclose(stream);
}

static int write_path(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t written;
	int saved;

	if (fd < 0)
		return -1;
	written = write(fd, text, strlen(text));
	saved = errno;
	close(fd);
	errno = saved;
	return written < 0 ? -1 : 0;
}

static int write_file(const char *device, const char *file, const char *text)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), DEVICES "/%s/%s", device, file);
	return write_path(path, text);
}

/* The last part of what a link points to; "" if there is no link. */
static void read_link(const char *device, const char *link, char *text, size_t size)
{
	char path[PATH_MAX];
	char target[PATH_MAX];
	const char *last;
	ssize_t length;

	snprintf(path, sizeof(path), DEVICES "/%s/%s", device, link);
	length = readlink(path, target, sizeof(target) - 1);
	target[length < 0 ? 0 : length] = '\0';
	last = strrchr(target, '/');
	last = last ? last + 1 : target;
	snprintf(text, size, "%.*s", (int)size - 1, last);
}

/* --- the list ---------------------------------------------------------------------- */

static const struct {
	unsigned class; /* base class and subclass */
	const char *name;
} class_names[] = {
	{ 0x0100, "SCSI controller" },
	{ 0x0101, "IDE controller" },
	{ 0x0104, "RAID controller" },
	{ 0x0106, "SATA controller" },
	{ 0x0107, "SAS controller" },
	{ 0x0108, "NVMe controller" },
	{ 0x0200, "Ethernet controller" },
	{ 0x0207, "InfiniBand controller" },
	{ 0x0280, "network controller" },
	{ 0x0300, "VGA controller" },
	{ 0x0302, "3D controller" },
	{ 0x0380, "display controller" },
	{ 0x0401, "audio device" },
	{ 0x0403, "HD audio device" },
	{ 0x0500, "RAM" },
	{ 0x0700, "serial controller" },
	{ 0x0780, "communication controller" },
	{ 0x0c03, "USB controller" },
	{ 0x0c05, "SMBus controller" },
	{ 0x1000, "encryption controller" },
	{ 0x1200, "accelerator" },
};

static const char *class_name(unsigned class)
{
	for (size_t i = 0; i < sizeof(class_names) / sizeof(class_names[0]); i++)
		if (class_names[i].class == class)
			return class_names[i].name;
	return "device";
}

static void print_device(const char *device)
{
	char vendor[16], number[16], class[16], group[16], owner[256], name[48];

	read_file(device, "vendor", vendor, sizeof(vendor));
	read_file(device, "device", number, sizeof(number));
	read_file(device, "class", class, sizeof(class));
	read_link(device, "iommu_group", group, sizeof(group));
	read_file(device, "ppt_owner", owner, sizeof(owner));
	snprintf(name, sizeof(name), "%.4s:%.4s %s", vendor + 2, number + 2,
		 class_name((unsigned)(strtoul(class, NULL, 16) >> 8)));
	printf("%-13s %-36s %-6s %s\n", device, name, group[0] ? group : "-",
	       owner[0] ? owner : "-");
}

static int is_device(const struct dirent *entry)
{
	return strchr(entry->d_name, ':') && strchr(entry->d_name, '.');
}

static int no_module(struct session *session)
{
	return session_fail(session, "the module is not loaded (there is no %s)", DRIVER);
}

int list_pptdevs(struct session *session, const struct option *option, const char *argument)
{
	struct dirent **entries;
	int count = scandir(DRIVER, &entries, is_device, alphasort);

	(void)option;
	(void)argument;
	if (count < 0)
		return errno == ENOENT ? no_module(session) : -1;
	printf("%-13s %-36s %-6s %s\n", "device", "name", "group", "VM");
	for (int i = 0; i < count; i++) {
		print_device(entries[i]->d_name);
		free(entries[i]);
	}
	free(entries);
	return 0;
}

/* --- reserving ------------------------------------------------------------ */

static int parse_device(struct session *session, const char *text, char *device)
{
	struct pci_place place;
	struct stat status;
	char path[PATH_MAX];

	if (!pci_place_parse(text, strlen(text), &place))
		return session_fail(session, "'%s' is not BUS/SLOT/FUNCTION in decimal numbers",
				    text);
	pci_place_name(&place, device);
	snprintf(path, sizeof(path), DEVICES "/%s", device);
	if (stat(path, &status))
		return session_fail(session, "there is no device %s", device);
	return 0;
}

static int is_bridge(const char *device)
{
	char class[16];

	read_file(device, "class", class, sizeof(class));
	return (strtoul(class, NULL, 16) >> 8) == 0x0604;
}

/* Unbinds the device from the driver that is bound to it, if any. */
static int unbind_from_driver(struct session *session, const char *device, const char *driver)
{
	if (driver[0] == '\0' || write_file(device, "driver/unbind", device) == 0)
		return 0;
	return session_fail(session, "%s does not let go of %s: %s", driver, device,
			    strerror(errno));
}

int attach_pptdev(struct session *session, const struct option *option, const char *argument)
{
	char device[PCI_PLACE_NAME_LENGTH], driver[64];

	(void)option;
	if (parse_device(session, argument, device))
		return -1;
	if (access(DRIVER, F_OK))
		return no_module(session);
	if (is_bridge(device))
		return session_fail(session, "%s is a bridge", device);
	read_link(device, "driver", driver, sizeof(driver));
	if (strcmp(driver, "ppt") == 0)
		return 0;
	if (write_file(device, "driver_override", "ppt"))
		return -1;
	if (unbind_from_driver(session, device, driver))
		return -1;
	if (write_path(PROBE, device))
		return -1;
	read_link(device, "driver", driver, sizeof(driver));
	if (strcmp(driver, "ppt") == 0)
		return 0;
	return session_fail(session, "%s could not be reserved; see the kernel's log", device);
}

/* Fails while the device is assigned; then the host's drivers are probed for it. */
int detach_pptdev(struct session *session, const struct option *option, const char *argument)
{
	char device[PCI_PLACE_NAME_LENGTH], driver[64], owner[256];

	(void)option;
	if (parse_device(session, argument, device))
		return -1;
	read_link(device, "driver", driver, sizeof(driver));
	if (strcmp(driver, "ppt") != 0)
		return session_fail(session, "%s is not reserved", device);
	if (write_path(UNBIND, device)) {
		read_file(device, "ppt_owner", owner, sizeof(owner));
		return errno == EBUSY ? session_fail(session, "VM %s has %s", owner, device) : -1;
	}
	if (write_file(device, "driver_override", "\n"))
		return -1;
	return write_path(PROBE, device);
}
