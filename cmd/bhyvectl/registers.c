// SPDX-License-Identifier: BSD-2-Clause
/*
 * Options for single registers: get-NAME and set-NAME for each, get-desc-NAME and
 * set-desc-NAME for those with a hidden part.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "bhyvectl.h"

enum kind {
	PLAIN,
	SEGMENT, /* a selector and a descriptor */
	TABLE,	 /* a descriptor only */
};

static const struct {
	const char *name;
	enum vm_reg_name reg;
	enum kind kind;
} registers[] = {
	{ "rax", VM_REG_GUEST_RAX, PLAIN },
	{ "rbx", VM_REG_GUEST_RBX, PLAIN },
	{ "rcx", VM_REG_GUEST_RCX, PLAIN },
	{ "rdx", VM_REG_GUEST_RDX, PLAIN },
	{ "rsi", VM_REG_GUEST_RSI, PLAIN },
	{ "rdi", VM_REG_GUEST_RDI, PLAIN },
	{ "rbp", VM_REG_GUEST_RBP, PLAIN },
	{ "rsp", VM_REG_GUEST_RSP, PLAIN },
	{ "r8", VM_REG_GUEST_R8, PLAIN },
	{ "r9", VM_REG_GUEST_R9, PLAIN },
	{ "r10", VM_REG_GUEST_R10, PLAIN },
	{ "r11", VM_REG_GUEST_R11, PLAIN },
	{ "r12", VM_REG_GUEST_R12, PLAIN },
	{ "r13", VM_REG_GUEST_R13, PLAIN },
	{ "r14", VM_REG_GUEST_R14, PLAIN },
	{ "r15", VM_REG_GUEST_R15, PLAIN },
	{ "rip", VM_REG_GUEST_RIP, PLAIN },
	{ "rflags", VM_REG_GUEST_RFLAGS, PLAIN },
	{ "cr0", VM_REG_GUEST_CR0, PLAIN },
	{ "cr2", VM_REG_GUEST_CR2, PLAIN },
	{ "cr3", VM_REG_GUEST_CR3, PLAIN },
	{ "cr4", VM_REG_GUEST_CR4, PLAIN },
	{ "efer", VM_REG_GUEST_EFER, PLAIN },
	{ "tpr", VM_REG_GUEST_TPR, PLAIN },
	{ "dr0", VM_REG_GUEST_DR0, PLAIN },
	{ "dr1", VM_REG_GUEST_DR1, PLAIN },
	{ "dr2", VM_REG_GUEST_DR2, PLAIN },
	{ "dr3", VM_REG_GUEST_DR3, PLAIN },
	{ "dr6", VM_REG_GUEST_DR6, PLAIN },
	{ "dr7", VM_REG_GUEST_DR7, PLAIN },
	{ "intr-shadow", VM_REG_GUEST_INTR_SHADOW, PLAIN },
	{ "cs", VM_REG_GUEST_CS, SEGMENT },
	{ "ds", VM_REG_GUEST_DS, SEGMENT },
	{ "es", VM_REG_GUEST_ES, SEGMENT },
	{ "fs", VM_REG_GUEST_FS, SEGMENT },
	{ "gs", VM_REG_GUEST_GS, SEGMENT },
	{ "ss", VM_REG_GUEST_SS, SEGMENT },
	{ "tr", VM_REG_GUEST_TR, SEGMENT },
	{ "ldtr", VM_REG_GUEST_LDTR, SEGMENT },
	{ "gdtr", VM_REG_GUEST_GDTR, TABLE },
	{ "idtr", VM_REG_GUEST_IDTR, TABLE },
};

#define REGISTER_COUNT ((int)(sizeof(registers) / sizeof(registers[0])))

static int get_register(struct session *session, const struct option *option, const char *argument)
{
	uint64_t value;

	(void)argument;
	if (vm_get_register(session->vcpu, (int)registers[option->data].reg, &value))
		return -1;
	if (registers[option->data].kind == SEGMENT)
		printf("%s[%d]\t\t0x%04" PRIx64 "\n", registers[option->data].name, session->cpu,
		       value);
	else
		printf("%s[%d]\t\t0x%016" PRIx64 "\n", registers[option->data].name, session->cpu,
		       value);
	return 0;
}

static int set_register(struct session *session, const struct option *option, const char *argument)
{
	uint64_t value;

	if (parse_number(session, argument, UINT64_MAX, &value))
		return -1;
	if (vm_set_register(session->vcpu, (int)registers[option->data].reg, value) == 0)
		return 0;
	return errno == EINVAL ?
		       session_fail(session, "the processor would not accept %s", argument) :
		       -1;
}

static int get_desc(struct session *session, const struct option *option, const char *argument)
{
	struct seg_desc desc;

	(void)argument;
	if (vm_get_seg_desc(session->vcpu, (int)registers[option->data].reg, &desc))
		return -1;
	if (registers[option->data].kind == TABLE)
		printf("%s[%d]\t\t0x%016" PRIx64 "/0x%08x\n", registers[option->data].name,
		       session->cpu, desc.base, desc.limit);
	else
		printf("%s desc[%d]\t0x%016" PRIx64 "/0x%08x/0x%08x\n",
		       registers[option->data].name, session->cpu, desc.base, desc.limit,
		       desc.access);
	return 0;
}

static int set_desc(struct session *session, const struct option *option, const char *argument)
{
	const struct seg_desc *desc = &session->desc;

	(void)argument;
	if (vm_set_desc(session->vcpu, (int)registers[option->data].reg, desc->base, desc->limit,
			desc->access) == 0)
		return 0;
	if (errno != EINVAL)
		return -1;
	return session_fail(session,
			    "the processor would not accept base %#" PRIx64
			    ", limit %#x, access %#x",
			    desc->base, desc->limit, desc->access);
}

/* The four forms of an option's name, longest first. */
static const struct {
	const char *prefix;
	bool desc;
	const char *argument;
	option_action act;
} forms[] = {
	{ "get-desc-", true, NULL, get_desc },
	{ "set-desc-", true, NULL, set_desc },
	{ "get-", false, NULL, get_register },
	{ "set-", false, "VALUE", set_register },
};

static int find_register(const char *name, size_t length, bool desc)
{
	for (int i = 0; i < REGISTER_COUNT; i++)
		if (strlen(registers[i].name) == length &&
		    memcmp(registers[i].name, name, length) == 0 &&
		    (desc ? registers[i].kind != PLAIN : registers[i].kind != TABLE))
			return i;
	return -1;
}

bool find_register_option(const char *name, size_t length, struct option *option)
{
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		size_t prefix = strlen(forms[i].prefix);
		int found;

		if (length <= prefix || memcmp(name, forms[i].prefix, prefix) != 0)
			continue;
		found = find_register(name + prefix, length - prefix, forms[i].desc);
		if (found < 0)
			continue;
		*option = (struct option){
			.argument = forms[i].argument,
			.when = WITH_VM,
			.act = forms[i].act,
			.data = found,
		};
		return true;
	}
	return false;
}

void print_register_options(void)
{
	printf("  --get-REGISTER, --set-REGISTER=VALUE, with REGISTER one of\n   ");
	for (int i = 0; i < REGISTER_COUNT; i++)
		if (registers[i].kind != TABLE)
			printf("%s %s", i % 16 == 15 ? "\n   " : "", registers[i].name);
	printf("\n  --get-desc-SEGMENT, --set-desc-SEGMENT, with SEGMENT one of\n   ");
	for (int i = 0; i < REGISTER_COUNT; i++)
		if (registers[i].kind != PLAIN)
			printf(" %s", registers[i].name);
	printf("\n");
}

int get_all_registers(struct session *session, const struct option *option, const char *argument)
{
	(void)option;
	for (int i = 0; i < REGISTER_COUNT; i++) {
		const struct option single = { .data = i };

		if (registers[i].kind == PLAIN && get_register(session, &single, argument))
			return -1;
	}
	return 0;
}

int get_segments(struct session *session, const struct option *option, const char *argument)
{
	(void)option;
	for (int i = 0; i < REGISTER_COUNT; i++) {
		const struct option single = { .data = i };

		if (registers[i].kind == PLAIN)
			continue;
		if (registers[i].kind == SEGMENT && get_register(session, &single, argument))
			return -1;
		if (get_desc(session, &single, argument))
			return -1;
	}
	return 0;
}
