// SPDX-License-Identifier: GPL-2.0-only
/*
 * Virtual interrupts: a program at privilege level 3 changes VIF where it may not change IF.  See
 * "Interrupt and Exception Handling in Virtual-8086 Mode" and "Protected-Mode Virtual Interrupts".
 */
#include "insn.h"

/* The field of a 32-bit TSS with the offset of the I/O permission bitmap, which the other one precedes. */
#define REDIRECTIONS	32u	/* bytes, a bit for each vector */

bool emul_has_vif(struct gondola_emulator *e)
{
	u64 extension = e->mode == GONDOLA_EMUL_VM86 ? CR4_VME : CR4_PVI;

	return e->cpl == 3 && (e->rflags & RFL_IOPL) != RFL_IOPL && e->ops->get_cr(e, 4) & extension;
}

u64 emul_flags_with_vif(const struct gondola_emulator *e)
{
	return (e->rflags & ~RFL_IF) | RFL_IOPL | (e->rflags & RFL_VIF ? RFL_IF : 0);
}

int emul_set_vif(struct gondola_emulator *e, u64 flags)
{
	/* The system is to look: an interrupt waits, or the program wants to be stepped. */
	if (flags & RFL_TF || (flags & RFL_IF && e->rflags & RFL_VIP))
		return emul_gp(e);
	e->rflags &= ~RFL_VIF;
	if (flags & RFL_IF)
		e->rflags |= RFL_VIF;
	return GONDOLA_EMUL_OK;
}

int emul_redirected(struct gondola_emulator *e, u8 vector, bool *redirected)
{
	struct gondola_segment tss;
	u16 base;
	u8 bits = 0;
	u32 at;
	int r;

	*redirected = false;
	if (!(e->ops->get_cr(e, 4) & CR4_VME))
		return GONDOLA_EMUL_OK;
	r = emul_io_bitmap(e, &tss, &base);
	if (r)
		return r;
	at = base - REDIRECTIONS + vector / 8;
	if (at > tss.limit)
		return emul_gp(e);
	r = e->ops->read(e, tss.base + at, &bits, 1, true);
	*redirected = !(bits >> (vector & 7) & 1);
	return r;
}
