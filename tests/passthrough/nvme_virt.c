// SPDX-License-Identifier: BSD-2-Clause
/*
 * nvme_virt DEVICE CONTROLLER RESOURCE ACTION COUNT: NVMe's Virtualization Management
 * (NVM Express Base Specification 1.4, 5.22), which gives queues (RESOURCE 0) and
 * interrupts (1) to a virtual function and turns it on.
 */
#include <fcntl.h>
#include <linux/nvme_ioctl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#define VIRTUALIZATION_MANAGEMENT 0x1c

static unsigned parse_number(const char *text)
{
	return (unsigned)strtoul(text, NULL, 10);
}

int main(int argc, char **argv)
{
	struct nvme_admin_cmd command = { .opcode = VIRTUALIZATION_MANAGEMENT };
	int file = argc == 6 ? open(argv[1], O_RDWR) : -1;
	int status;

	if (file < 0) {
		perror("nvme_virt");
		return 1;
	}
	command.cdw10 = parse_number(argv[2]) << 16 | parse_number(argv[3]) << 8 |
			parse_number(argv[4]);
	command.cdw11 = parse_number(argv[5]);
	status = ioctl(file, NVME_IOCTL_ADMIN_CMD, &command);
	if (status)
		fprintf(stderr, "nvme_virt: %s: status %#x\n", argv[1], (unsigned)status);
	return status != 0;
}
