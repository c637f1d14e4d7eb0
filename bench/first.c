// SPDX-License-Identifier: BSD-2-Clause
/*
 * The first process of a kernel whose boot is measured: says what the TSC has counted
 * since power on, and turns the machine off. On a bare machine of lab/labkit/machine.py,
 * told by "bare" on the kernel's command line, it says so as that machine's init would.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <termios.h>
#include <unistd.h>
#include <x86intrin.h>

static void write_line(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_NOCTTY);

	if (fd < 0 || dprintf(fd, "%s\n", text) < 0 || tcdrain(fd))
		perror(path);
	if (fd >= 0)
		close(fd);
}

int main(void)
{
	unsigned long long ticks = __rdtsc();
	const char *bare = getenv("bare");
	char line[64];

	if (mount("devtmpfs", "/dev", "devtmpfs", 0, NULL))
		perror("mount");
	snprintf(line, sizeof(line), "%s boot %llu", bare ? "bare" : "vmm", ticks);
	write_line(bare ? "/dev/ttyS1" : "/dev/console", line);
	if (bare)
		write_line("/dev/ttyS2", "booted 0\nstatus 0");
	return reboot(RB_POWER_OFF);
}
