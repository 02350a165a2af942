/* SPDX-License-Identifier: GPL-2.0-only */
/* A vCPU's registers in GDB's numbering ("Standard Target Features" in its manual). */
#ifndef DEBUG_REGISTERS_H
#define DEBUG_REGISTERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <linux/gondola_state.h>

struct packet;

#define REGISTERS_FX_BYTES	512
#define REGISTERS_YMM_BYTES	256

/** struct register_shape - the registers that a client was told of */
struct register_shape {
	bool long_mode;		/* as x86-64, with all of them; else as i386 */
	bool avx;		/* and the upper halves of AVX's */
};

/**
 * struct registers - a vCPU's registers for a client
 * @fx: the legacy area of XSAVE; @fx_taken: part of it was written
 * @ymm: the component of AVX, the upper halves of its registers; @ymm_taken: it has changed
 */
struct registers {
	struct register_shape shape;
	struct gondola_rec_regs regs;
	struct gondola_rec_sregs sregs;
	uint8_t fx[REGISTERS_FX_BYTES];
	bool fx_taken;
	uint8_t ymm[REGISTERS_YMM_BYTES];
	bool ymm_taken;
};

/** registers_xml() - write the target's description; returns its length */
size_t registers_xml(struct register_shape shape, char *to, size_t room);
unsigned int registers_count(struct register_shape shape);
/** registers_put() - append register @number in hexadecimal digits; false: there is none */
bool registers_put(const struct registers *from, unsigned int number, struct packet *packet);
/** registers_take() - set @number from the digits at *@at; false: no such register, or not its digits */
bool registers_take(struct registers *to, unsigned int number, const char **at);

#endif
