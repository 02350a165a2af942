// SPDX-License-Identifier: GPL-2.0-only
#include <linux/string.h>
#include <uapi/linux/gondola.h>
#include "kernel_verdict.h"

u32 host_kernel_verdict(u32 engine, const struct kernel_facts *facts, char *detail)
{
	const char *words = NULL;

	if (facts->preempt_rt)
		words = "PREEMPT_RT: boot a kernel without it";
	else if (engine == GONDOLA_ENGINE_VMX && facts->fred)
		words = "FRED delivers events: boot with fred=off";
	if (!words)
		return GONDOLA_PF_OK;
	strscpy(detail, words, 64);
	return GONDOLA_PF_KERNEL;
}
