// SPDX-License-Identifier: BSD-2-Clause
#include "common/vm_name.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>
#include <vmm/vmm.h>

#define TEXT_OF(number)	 TEXT_OF_(number)
#define TEXT_OF_(number) #number

#define MAX_NAMELEN 229
_Static_assert(MAX_NAMELEN == VM_MAX_NAMELEN, "the longest name of a VM");

/* A name is that of a device node, where the kernel writes '/' as '!'. */
const char *vm_name_problem(const char *name)
{
	if (*name == '\0' || strlen(name) > MAX_NAMELEN)
		return "a VM's name has 1 to " TEXT_OF(MAX_NAMELEN) " characters";
	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return "a VM cannot be called that";
	for (; *name; name++)
		if (*name <= ' ' || *name > '~' || *name == '/' || *name == '!')
			return "a VM's name is of ASCII characters, without spaces, '/' and '!'";
	return NULL;
}

const char *vm_access_problem(int error)
{
	switch (error) {
	case ENOENT:
		return access(CONTROL_DEVICE, F_OK) ? MODULE_NOT_LOADED : "no such VM";
	case EEXIST:
		return "it exists already";
	case EACCES:
	case EPERM:
		return "no permission (root and group vmm create VMs; "
		       "a VM is its creator's and root's)";
	case EBUSY:
		return "another hypervisor holds the processors (see the kernel's log)";
	default:
		return strerror(error);
	}
}
