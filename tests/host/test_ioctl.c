// SPDX-License-Identifier: BSD-2-Clause
/* Any ioctl with any bytes gets an errno. What must not be there is in the host's log. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "machine.h"

static uint64_t random_state = 0x9e3779b97f4a7c15;

static uint64_t random_word(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

/* Small numbers, pointers, borders and noise: what handlers look at. */
static uint64_t random_value(char *memory)
{
	switch (random_word() % 6) {
	case 0:
		return random_word() % 4;
	case 1:
		return (uint64_t)memory + random_word() % 4096;
	case 2:
		return ~0ull << random_word() % 64;
	case 3:
		return random_word() % 64 << 12;
	case 4:
		return random_word() & 0xffffffff;
	default:
		return random_word();
	}
}

static unsigned long random_command(void)
{
	unsigned int number = random_word() % 256;
	unsigned int size = random_word() % 4 ? random_word() % 640 : random_word() % 16384;
	unsigned int direction = random_word() % 4;

	return _IOC(direction, random_word() % 16 ? 'v' : 'V', number, size);
}

/* The numbers that exist, so that half of the calls reach a handler. */
static const unsigned long commands[] = {
	VM_RUN_REPLY,
	VM_SUSPEND,
	VM_REINIT,
	VM_ALLOC_MEMSEG,
	VM_GET_MEMSEG,
	VM_MMAP_MEMSEG,
	VM_MMAP_GETNEXT,
	VM_MUNMAP_MEMSEG,
	VM_SET_REGISTER,
	VM_GET_REGISTER,
	VM_SET_REGISTER_SET,
	VM_GET_REGISTER_SET,
	VM_SET_SEGMENT_DESCRIPTOR,
	VM_GET_SEGMENT_DESCRIPTOR,
	VM_SET_KERNEMU_DEV,
	VM_GET_KERNEMU_DEV,
	VM_INJECT_EXCEPTION,
	VM_LAPIC_IRQ,
	VM_LAPIC_LOCAL_IRQ,
	VM_LAPIC_MSI,
	VM_IOAPIC_ASSERT_IRQ,
	VM_IOAPIC_DEASSERT_IRQ,
	VM_IOAPIC_PULSE_IRQ,
	VM_IOAPIC_PINCOUNT,
	VM_ISA_ASSERT_IRQ,
	VM_ISA_DEASSERT_IRQ,
	VM_ISA_PULSE_IRQ,
	VM_ISA_SET_IRQ_TRIGGER,
	VM_SET_CAPABILITY,
	VM_GET_CAPABILITY,
	VM_INJECT_NMI,
	VM_STATS,
	VM_STAT_DESC,
	VM_SET_X2APIC_STATE,
	VM_GET_X2APIC_STATE,
	VM_SET_MTRR,
	VM_GET_MTRR,
	VM_GET_HPET_CAPABILITIES,
	VM_SET_TOPOLOGY,
	VM_GET_TOPOLOGY,
	VM_GET_GPA_PMAP,
	VM_GLA2GPA,
	VM_GLA2GPA_NOFAULT,
	VM_ACTIVATE_CPU,
	VM_GET_CPUS,
	VM_SUSPEND_CPU,
	VM_RESUME_CPU,
	VM_SET_INTINFO,
	VM_GET_INTINFO,
	VM_RTC_WRITE,
	VM_RTC_READ,
	VM_RTC_SETTIME,
	VM_RTC_GETTIME,
	VM_RESTART_INSTRUCTION,
	VM_RUN,
};

static void ignore_signal(int number)
{
	(void)number;
}

/*
 * Whatever vCPU this thread runs is interrupted by the timer: this very thread, for a signal
 * to the process goes to the main one, and another would sleep for ever in a vCPU that waits
 * to be started.
 */
static void interrupt_often(void)
{
	struct sigaction action = { .sa_handler = ignore_signal };
	struct itimerspec period = { { 0, 2000000 }, { 0, 2000000 } };
	struct sigevent event = { .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGALRM };
	timer_t timer;

	event._sigev_un._tid = gettid();
	sigaction(SIGALRM, &action, NULL);
	REQUIRE(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
	REQUIRE(timer_settime(timer, 0, &period, NULL) == 0);
}

static void throw_bytes(int fd, char *memory, int count)
{
	uint64_t argument[2048];

	for (int i = 0; i < count; i++) {
		unsigned long command =
			random_word() % 2 ?
				commands[random_word() % (sizeof(commands) / sizeof(commands[0]))] :
				random_command();
		int result;

		for (size_t word = 0; word < sizeof(argument) / sizeof(argument[0]); word++)
			argument[word] = random_value(memory);
		if (random_word() % 2)
			argument[0] = (argument[0] & ~0xffffffffull) | random_word() % 3;
		errno = 0;
		result =
			ioctl(fd, command, random_word() % 16 ? (uint64_t)argument : random_word());
		CHECK(result >= 0 || errno != 0);
	}
}

TEST(owner_with_random_bytes)
{
	struct machine machine =
		machine_create("fuzz", 1 << 20, machine_spin, sizeof(machine_spin));

	interrupt_often();
	throw_bytes(vm_get_device_fd(machine.ctx), machine.memory, count_of("COUNT_IOCTLS"));
	machine_destroy(&machine);
}

struct thrower {
	pthread_t thread;
	int fd;
	char *memory;
};

static void *thrower_main(void *argument)
{
	struct thrower *thrower = argument;

	interrupt_often();
	throw_bytes(thrower->fd, thrower->memory, count_of("COUNT_IOCTLS") / 4);
	return NULL;
}

TEST(four_threads_with_random_bytes)
{
	struct machine machine =
		machine_create("fuzz", 1 << 20, machine_spin, sizeof(machine_spin));
	struct thrower throwers[4];

	for (int i = 0; i < 4; i++) {
		throwers[i] = (struct thrower){ .fd = vm_get_device_fd(machine.ctx),
						.memory = machine.memory };
		REQUIRE(pthread_create(&throwers[i].thread, NULL, thrower_main, &throwers[i]) == 0);
	}
	for (int i = 0; i < 4; i++)
		pthread_join(throwers[i].thread, NULL);
	machine_destroy(&machine);
}

TEST(control_device_with_random_bytes)
{
	int fd = open("/dev/vmmctl", O_RDWR);
	char memory[4096] = "";

	REQUIRE(fd >= 0);
	throw_bytes(fd, memory, count_of("COUNT_IOCTLS"));
	close(fd);
}

/* Mallory may not even open what is not hers. */
TEST(stranger_gets_an_errno)
{
	struct machine machine =
		machine_create("fuzz", 1 << 20, machine_spin, sizeof(machine_spin));

	REQUIRE(setgid(65534) == 0);
	REQUIRE(setuid(65534) == 0);
	CHECK(open("/dev/vmm/fuzz", O_RDWR) == -1 && (errno == EACCES || errno == EPERM));
	CHECK(open("/dev/vmmctl", O_RDWR) == -1 && (errno == EACCES || errno == EPERM));
	CHECK(vm_create("mine") == -1);
	CHECK(vm_destroy_name("fuzz") == -1);
	(void)machine;
}
