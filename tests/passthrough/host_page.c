// SPDX-License-Identifier: BSD-2-Clause
/*
 * host_page COMMAND...: runs COMMAND with the variable PAGE set to the physical
 * address of a page of this process, in hexadecimal, and says whether the page is
 * what it was before. It lies above 64 MiB, where small guests have no memory. The exit
 * status is COMMAND's, or 99 if the page has changed.
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
#define PAGES	65536
#define LOWEST	(64u << 20)
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

static int run_command(char **command)
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

/* The first of many pages that lies high enough. */
static uint8_t *find_page(uint64_t *address)
{
	uint8_t *pages = mmap(NULL, (size_t)PAGES * PAGE, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	for (int i = 0; pages != MAP_FAILED && i < PAGES; i++) {
		uint8_t *page = pages + (size_t)i * PAGE;

		memset(page, FILLING, PAGE);
		*address = physical_address(page);
		if (*address >= LOWEST && mlock(page, PAGE) == 0)
			return page;
	}
	return NULL;
}

int main(int argc, char **argv)
{
	uint64_t address = 0;
	uint8_t *page = find_page(&address);
	char text[24];
	int status;

	if (argc < 2 || !page)
		return 1;
	snprintf(text, sizeof(text), "%llx", (unsigned long long)address);
	setenv("PAGE", text, 1);
	status = run_command(argv + 1);
	for (int i = 0; i < PAGE; i++) {
		if (page[i] != FILLING) {
			fprintf(stderr, "the page at %s has changed\n", text);
			return 99;
		}
	}
	return status;
}
