/* SPDX-License-Identifier: GPL-2.0-only */
/* A vCPU's registers as GDB counts them ("Standard Target Features" in its manual). */
#ifndef DEBUG_REGISTERS_H
#define DEBUG_REGISTERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <linux/gondola_state.h>

struct packet;

#define REGISTERS_FX_BYTES	512

/**
 * struct registers - what a client sees of a vCPU
 * @long_mode: it is described as x86-64, with all registers; else as i386
 * @fx: the legacy area of XSAVE; @fx_taken: some of it was written
 */
struct registers {
	bool long_mode;
	struct gondola_rec_regs regs;
	struct gondola_rec_sregs sregs;
	uint8_t fx[REGISTERS_FX_BYTES];
	bool fx_taken;
};

/** registers_xml() - write the target's description; returns its length */
size_t registers_xml(bool long_mode, char *to, size_t room);
unsigned int registers_count(bool long_mode);
/** registers_put() - append register @number in hexadecimal digits; false: there is none */
bool registers_put(const struct registers *from, unsigned int number, struct packet *packet);
/** registers_take() - set @number from the digits at *@at; false: no such register, or not its digits */
bool registers_take(struct registers *to, unsigned int number, const char **at);

#endif
