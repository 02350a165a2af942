// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which instructions of a program does the emulator not know?  Reads lines of an instruction's bytes
 * in hex, a tab and its text; prints those that it does not decode, or decodes to another length.
 *
 *   census 16|32|64 < LINES
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "emulate/insn.h"

#define CODE	0x1000u

static u8 bytes[32];

static int fetch(struct gondola_emulator *e, gva_t la, void *buf, unsigned int count,
		 unsigned int *got)
{
	memcpy(buf, bytes + (la - CODE), count);
	*got = count;
	return GONDOLA_EMUL_OK;
}

static void get_segment(struct gondola_emulator *e, enum gondola_seg seg,
			struct gondola_segment *out)
{
	*out = (struct gondola_segment){ .limit = ~0u, .ar = 0xc09b };
}

static const struct gondola_emul_ops ops = { .fetch = fetch, .get_segment = get_segment };

static unsigned int take_bytes(const char *line)
{
	unsigned int n = 0, value;

	memset(bytes, 0, sizeof(bytes));
	for (; n < 15 && line[0] != '\t' && sscanf(line, "%2x", &value) == 1; line += 2)
		bytes[n++] = value;
	return n;
}

int main(int argc, char **argv)
{
	unsigned int bits = argc == 2 ? atoi(argv[1]) : 0, count;
	struct gondola_regs regs = { .rip = CODE };
	struct gondola_emulator e = { .ops = &ops, .regs = &regs };
	char line[512];

	if (bits != 16 && bits != 32 && bits != 64)
		return 2;
	e.mode = bits == 64 ? GONDOLA_EMUL_LONG64 : bits == 32 ? GONDOLA_EMUL_PROT32 :
		 GONDOLA_EMUL_REAL;
	while (fgets(line, sizeof(line), stdin)) {
		count = take_bytes(line);
		if (count && (gondola_parse(&e) || e.own.len != count))
			fputs(line, stdout);
	}
	return 0;
}
