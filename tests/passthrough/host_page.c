// SPDX-License-Identifier: BSD-2-Clause
/*
 * host_page COMMAND...: runs COMMAND with the variable PAGE set to the physical
 * address of a page of this process, in hexadecimal, and says whether the page is
 * what it was before. Exit status: COMMAND's; 99 if the page has changed.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE	4096
#define FILLING 0xa5

#define PAGEMAP_ADDRESS ((UINT64_C(1) << 55) - 1)

static uint64_t physical_address(const void *page)
{
	int file = open("/proc/self/pagemap", O_RDONLY);
	uint64_t entry = 0;

	if (file < 0 ||
	    pread(file, &entry, sizeof(entry), (off_t)((uintptr_t)page / PAGE * 8)) != 8)
		return 0;
	close(file);
	return (entry & PAGEMAP_ADDRESS) * PAGE;
}

static int run(char **command)
{
	int status = 1;
	pid_t child = fork();

	if (child == 0) {
		execvp(command[0], command);
		_exit(127);
	}
	if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status))
		return 1;
	return WEXITSTATUS(status);
}

int main(int argc, char **argv)
{
	uint8_t *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_LOCKED, -1, 0);
	char address[24];
	int status;

	if (argc < 2 || page == MAP_FAILED)
		return 1;
	memset(page, FILLING, PAGE);
	snprintf(address, sizeof(address), "%llx", (unsigned long long)physical_address(page));
	setenv("PAGE", address, 1);
	status = run(argv + 1);
	for (int i = 0; i < PAGE; i++) {
		if (page[i] != FILLING) {
			fprintf(stderr, "the page at %s has changed\n", address);
			return 99;
		}
	}
	return status;
}
