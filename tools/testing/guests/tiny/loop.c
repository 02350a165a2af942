// SPDX-License-Identifier: GPL-2.0-only
/*
 * Loops for ever with interrupts off, without an instruction that exits; "sti":
 * with interrupts on; "hlt" halts instead.
 */
#include "guest.h"

void guest_main(const struct guest_info *info)
{
	print("looping\n");
	if (has_word(info, "hlt"))
		asm volatile("cli; hlt");
	if (has_word(info, "sti"))
		asm volatile("sti; 1: jmp 1b");
	asm volatile("cli; 1: jmp 1b");
}
