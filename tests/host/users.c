// SPDX-License-Identifier: BSD-2-Clause
/* Playing other users. */
#include "users.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "unit.h"

/* From the files themselves: a static program has no name service. */
static struct passwd *user_named(const char *name)
{
	FILE *file = fopen("/etc/passwd", "r");
	struct passwd *user;

	REQUIRE(file);
	while ((user = fgetpwent(file)) && strcmp(user->pw_name, name))
		;
	fclose(file);
	REQUIRE(user);
	return user;
}

/* The gid of group vmm if 'name' is a member, else 0. */
static gid_t vmm_group_of(const char *name)
{
	FILE *file = fopen("/etc/group", "r");
	gid_t gid = 0;
	struct group *group;

	REQUIRE(file);
	while ((group = fgetgrent(file))) {
		for (char **member = group->gr_mem; *member; member++) {
			if (strcmp(group->gr_name, "vmm") == 0 && strcmp(*member, name) == 0)
				gid = group->gr_gid;
		}
	}
	fclose(file);
	return gid;
}

uid_t user_uid(const char *name)
{
	return user_named(name)->pw_uid;
}

void user_become(const char *name)
{
	const struct passwd *user = user_named(name);
	gid_t vmm = vmm_group_of(name);

	REQUIRE(setgroups(vmm ? 1 : 0, &vmm) == 0);
	REQUIRE(setgid(user->pw_gid) == 0);
	REQUIRE(setuid(user->pw_uid) == 0);
}

int as(const char *name, int (*action)(void))
{
	int status = -1;
	pid_t pid = fork();

	if (pid == 0) {
		user_become(name);
		errno = 0;
		_exit(action() == 0 ? 0 : errno);
	}
	REQUIRE(waitpid(pid, &status, 0) == pid);
	REQUIRE(WIFEXITED(status));
	return WEXITSTATUS(status);
}
