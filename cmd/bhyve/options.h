/* SPDX-License-Identifier: BSD-2-Clause */
/* The command line. */
#ifndef BHYVE_OPTIONS_H
#define BHYVE_OPTIONS_H

#include "run.h"
#include "serial.h"
#include "uuid.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <vmm/topology.h>

/* -p VCPU:CPU */
struct pin {
	unsigned vcpu;
	int host_cpu;
	struct pin *next;
};

struct options {
	const char *name;
	unsigned cpus;
	unsigned sockets;
	unsigned cores;
	unsigned threads;
	size_t memory; /* bytes; 0: not said */
	bool acpi;
	bool destroy_on_poweroff;
	bool exit_on_hlt;
	bool exit_on_pause;
	bool wired;
	bool rtc_utc;
	bool x2apic;
	bool monitor;
	bool fwcfg;
	bool no_mp_table;
	const char *bootrom; /* CODE[,VARS], or NULL */
	bool testdev;
	bool has_uuid;
	bool empty;		/* start a VM into which nothing is loaded */
	bool unknown_devices;	/* named by -s or -l, and reported */
	const char *fwcfg_item; /* an -f that was given, or NULL */
	uint8_t uuid[UUID_LENGTH];
	struct {
		bool present;
		const char *backend; /* NULL: nothing attached */
	} com[SERIAL_PORTS];
	struct pin *pins;
	struct run_options run;
};

/*
 * Read the command line; PCI functions (-s) and fw_cfg items (-f) are created on
 * the way. Ends bhyve with a message where it is wrong, and after -h.
 */
void options_parse(struct options *options, int argc, char **argv);

/* The processor that -p gave to this vCPU, or -1. */
int options_host_cpu(const struct options *options, unsigned vcpu);

/* What -c says. */
struct vm_cpu_topology options_topology(const struct options *options);

#endif
