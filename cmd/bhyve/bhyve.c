// SPDX-License-Identifier: BSD-2-Clause
/*
 * bhyve: runs a virtual machine. The main thread reads the command line, builds
 * the machine, and then serves consoles and signals until a vCPU's thread sees
 * the VM stop.
 */
#include "common/version.h"
#include "event.h"
#include "diag.h"
#include "machine.h"
#include "options.h"
#include "output.h"
#include "run.h"
#include "signals.h"
#include "terminal.h"

#include <bsd/unistd.h>
#include <string.h>

/* How long to wait at the end for a reader of the guest's console. */
#define FLUSH_MILLISECONDS 2000

int main(int argc, char **argv)
{
	static struct options options;
	struct vmctx *ctx;
	int error;

	answer_version(argc, argv);
	/* Before anything else looks at argv: what follows has a copy of it. */
	setproctitle_init(argc, argv, environ);
	signals_block();
	options_parse(&options, argc, argv);
	error = event_init();
	if (error)
		fatal("event loop: %s", strerror(-error));

	/* Managers find the process by it: "bhyve: NAME". */
	setproctitle("%s", options.name);
	ctx = machine_open(&options);
	machine_add_devices(ctx, &options);
	signals_init(ctx);
	machine_run(ctx, &options);
	event_loop();

	run_abandon();
	output_flush_all(FLUSH_MILLISECONDS);
	machine_end(&options, run_how());
	signals_die();
	return run_status();
}
