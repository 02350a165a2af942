// SPDX-License-Identifier: GPL-2.0-only
/* Can guests run in ring 3 here?  Obstacles that no boot option removes come first. */
#include <linux/string.h>
#include <uapi/linux/gondola.h>
#include "preflight.h"

static u32 answer(char *detail, u32 reason, const char *words)
{
	strscpy(detail, words, 64);
	return reason;
}

u32 ring3_verdict(const struct ring3_facts *facts, char *detail)
{
	if (facts->xen_pv)
		return answer(detail, GONDOLA_PF_KERNEL, "it is a Xen PV guest, without a ring 0");
	if (!facts->nx)
		return answer(detail, GONDOLA_PF_MISSING_FEATURE, "NX (no-execute pages)");
	/* A #VC or #VE of the host's could strike where only the switcher's handlers are. */
	if (facts->encrypted)
		return answer(detail, GONDOLA_PF_MISSING_FEATURE,
			      "unencrypted memory (SME, SEV or TDX is on)");
	if (facts->no_bhb)
		return answer(detail, GONDOLA_PF_KERNEL,
			      "it keeps to itself how branch history is cleared");
	if (facts->fred)
		return answer(detail, GONDOLA_PF_KERNEL, "FRED is on (boot with fred=off)");
	if (facts->la57)
		return answer(detail, GONDOLA_PF_KERNEL, "five-level tables (boot with no5lvl)");
	if (facts->slot_taken)
		return answer(detail, GONDOLA_PF_IN_USE, "something is in the kernel's guard hole");
	return GONDOLA_PF_OK;
}
