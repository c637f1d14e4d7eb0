// SPDX-License-Identifier: BSD-2-Clause
/*
 * Who may create, use and destroy a VM: of the lab's users alice and bob are in group vmm,
 * mallory is not.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "machine.h"
#include "users.h"

static int create_access_vm(void)
{
	return vm_create("access");
}

static int open_access_vm(void)
{
	struct vmctx *ctx = vm_open("access");

	if (!ctx)
		return -1;
	vm_close(ctx);
	return 0;
}

static int destroy_access_vm(void)
{
	return vm_destroy_name("access");
}

static bool is_permission_error(int error)
{
	return error == EACCES || error == EPERM;
}

TEST(members_of_group_vmm_create_and_destroy)
{
	CHECK_EQ(as("alice", create_access_vm), 0);
	CHECK_EQ(as("alice", open_access_vm), 0);
	CHECK_EQ(as("alice", destroy_access_vm), 0);
}

TEST(others_may_not_create)
{
	CHECK(is_permission_error(as("mallory", create_access_vm)));
}

TEST(only_the_creator_and_root_use_a_vm)
{
	CHECK_EQ(as("alice", create_access_vm), 0);
	CHECK(is_permission_error(as("bob", open_access_vm)));
	CHECK(is_permission_error(as("mallory", open_access_vm)));
	CHECK_EQ(open_access_vm(), 0);
	CHECK_EQ(as("alice", destroy_access_vm), 0);
}

TEST(only_the_creator_and_root_destroy_a_vm)
{
	CHECK_EQ(as("alice", create_access_vm), 0);
	CHECK(is_permission_error(as("bob", destroy_access_vm)));
	CHECK_EQ(destroy_access_vm(), 0);
}

TEST(node_belongs_to_its_creator)
{
	struct stat st;

	CHECK_EQ(as("alice", create_access_vm), 0);
	REQUIRE(stat("/dev/vmm/access", &st) == 0);
	CHECK_EQ(st.st_uid, user_uid("alice"));
	CHECK_EQ(st.st_mode & 0777, 0600);
	CHECK_EQ(destroy_access_vm(), 0);
}

/* A chmod of the node does not give the VM away: opening checks again. */
TEST(a_wide_open_node_stays_closed)
{
	CHECK_EQ(as("alice", create_access_vm), 0);
	CHECK(chmod("/dev/vmm/access", 0666) == 0);
	CHECK(is_permission_error(as("bob", open_access_vm)));
	CHECK_EQ(destroy_access_vm(), 0);
}

TEST(maxcpu_bounds_vcpus)
{
	struct machine machine = machine_create("access", 1 << 20, "\xf4", 1);
	int maxcpu = 0;
	uint64_t value;
	FILE *file = fopen("/proc/sys/hw/vmm/maxcpu", "r");

	REQUIRE(file && fscanf(file, "%d", &maxcpu) == 1);
	fclose(file);
	CHECK(maxcpu >= 1);
	CHECK(vm_get_register(vm_vcpu_open(machine.ctx, maxcpu - 1), VM_REG_GUEST_RAX, &value) ==
	      0);
	CHECK(vm_get_register(vm_vcpu_open(machine.ctx, maxcpu), VM_REG_GUEST_RAX, &value) == -1);
	CHECK_EQ(errno, EINVAL);
	machine_destroy(&machine);
}
