// SPDX-License-Identifier: GPL-2.0-only
/* Runs one instruction that the interpreter has not: "sse3" or "ssse3"; then it powers off. */
#include "guest.h"

void guest_main(const struct guest_info *info)
{
	uint32_t value;

	/* CR4.OSFXSR: SSE may be used. */
	asm volatile("mov %%cr4, %0" : "=r"(value));
	asm volatile("mov %0, %%cr4" : : "r"(value | 1u << 9));
	if (has_word(info, "sse3"))
		asm volatile(".byte 0xf2, 0x0f, 0x7c, 0xc1" : : : "memory");	/* haddps xmm0, xmm1 */
	if (has_word(info, "ssse3"))
		asm volatile(".byte 0x66, 0x0f, 0x38, 0x1c, 0xc1" : : : "memory");	/* pabsb xmm0, xmm1 */
	power_off();
}
