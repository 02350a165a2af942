/* SPDX-License-Identifier: GPL-2.0-only */
/* A machine without a module: the devices' ports, lines and clock, for tests. */
#ifndef TESTS_DEVICE_MACHINE_H
#define TESTS_DEVICE_MACHINE_H

#include "device/device.h"
#include "device/state.h"
#include "tap.h"
#include "vm/vm.h"

/**
 * struct machine - the one under test
 * @lines: levels as last driven
 * @driven: how often each was
 * @now_ns: the VM's clock
 * @step_ns: how far it goes whenever it is read
 * @output: what the guest wrote to its console
 * @more: how often the device asked for more input
 */
struct machine {
	struct vm vm;
	int lines[GONDOLA_NR_GSI];
	unsigned int driven[GONDOLA_NR_GSI];
	uint64_t now_ns;
	uint64_t step_ns;
	char output[256];
	unsigned int printed;
	bool full;			/* the console's reader stands still */
	unsigned int more;
	const struct console_guest *guest;
	void *guest_device;
};

extern struct machine machine;

/** machine_start() - all devices as after power-on */
void machine_start(void);
/** machine_end() - they are gone */
void machine_end(void);

uint32_t in(uint16_t port, unsigned int bytes);
void out(uint16_t port, uint32_t value, unsigned int bytes);

#endif
