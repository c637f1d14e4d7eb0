// SPDX-License-Identifier: BSD-2-Clause
/* The parameters pptdevs, pptdevs2 and pptdevs3: parsing them and reserving their devices. */
#include "ppt/device.h"

/* The devices that the parameters name, for hotplug. Constant after the load. */
#define WANTED_MAX 256
static struct os_pci_address wanted[WANTED_MAX];
static unsigned int wanted_count;

bool ppt_wanted(const struct os_pci_address *address)
{
	for (unsigned int i = 0; i < wanted_count; i++) {
		if (ppt_same_address(&wanted[i], address))
			return true;
	}
	return false;
}

static void add_wanted(const struct os_pci_address *address)
{
	if (!ppt_wanted(address) && wanted_count < WANTED_MAX)
		wanted[wanted_count++] = *address;
}

/* In the syntax of bhyvectl --ppt-attach: with the domain only if it is not 0. */
static void format_argument(const struct os_pci_address *address, char *text, size_t size)
{
	if (address->domain)
		snprintf(text, size, "%u/%u/%u/%u", address->domain, address->bus, address->slot,
			 address->function);
	else
		snprintf(text, size, "%u/%u/%u", address->bus, address->slot, address->function);
}

static void log_not_reserved(const char *parameter, const struct os_pci_address *address, int error,
			     const char *holder)
{
	char argument[24];
	char name[PPT_NAME_SIZE];

	format_argument(address, argument, sizeof(argument));
	ppt_format_address(address, name, sizeof(name));
	if (error == -ENODEV)
		os_info("%s: %s: there is no device %s", parameter, argument, name);
	else if (error == -ENOTSUP)
		os_info("%s: %s: %s is a bridge: only devices behind it can be passed through",
			parameter, argument, name);
	else if (error == -EBUSY)
		os_info("%s: %s: %s stays with its driver %s; to hand it over: bhyvectl --ppt-attach=%s",
			parameter, argument, name, holder, argument);
	else
		os_info("%s: %s: %s cannot be reserved (error %d)", parameter, argument, name,
			-error);
}

static void reserve_entry(const char *parameter, const char *text, size_t length)
{
	struct os_pci_address address;
	char holder[32] = "";
	int error;

	if (ppt_parse_address(text, length, &address)) {
		os_info("%s: '%.*s' is not BUS/SLOT/FUNCTION in decimal numbers", parameter,
			(int)min_t(size_t, length, 64), text);
		return;
	}
	add_wanted(&address);
	error = os_pci_reserve(&address, holder, sizeof(holder));
	if (error)
		log_not_reserved(parameter, &address, error, holder);
}

static bool is_space(char letter)
{
	return letter == ' ' || letter == '\t' || letter == '\n';
}

void ppt_reserve(const char *parameter, const char *text)
{
	size_t length;

	for (; text && *text; text += length) {
		length = 0;
		while (text[length] && !is_space(text[length]))
			length++;
		if (length)
			reserve_entry(parameter, text, length);
		else
			length = 1;
	}
}
