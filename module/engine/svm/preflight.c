// SPDX-License-Identifier: GPL-2.0-only
/* Can SVM be used here?  Reports the first obstacle that the user could remove. */
#include <linux/bits.h>
#include <linux/string.h>
#include <uapi/linux/gondola.h>
#include "preflight.h"

static u32 answer(char *detail, u32 reason, const char *words)
{
	strscpy(detail, words, 64);
	return reason;
}

u32 svm_verdict(const struct svm_facts *facts, char *detail)
{
	if (!facts->svm && facts->virtual_amd)
		return answer(detail, GONDOLA_PF_NESTED_OFF,
			      "this host is a guest, and is not offered SVM");
	if (!facts->svm)
		return answer(detail, GONDOLA_PF_ABSENT, "the processor has no SVM");
	if (facts->vm_cr & VM_CR_SVMDIS)
		return answer(detail, GONDOLA_PF_LOCKED_OFF, facts->vm_cr & VM_CR_LOCK ?
			      "firmware disabled SVM and locked VM_CR" :
			      "firmware disabled SVM (VM_CR.SVMDIS)");
	if (facts->asids < 2)
		return answer(detail, GONDOLA_PF_MISSING_FEATURE, "ASIDs");
	if (!facts->nx)
		return answer(detail, GONDOLA_PF_MISSING_FEATURE, "NX (no-execute pages)");
	/* Memory encryption is not supported: shadow entries would need the encryption bit. */
	if (facts->encrypted)
		return answer(detail, GONDOLA_PF_MISSING_FEATURE,
			      "unencrypted memory (boot with mem_encrypt=off)");
	if (facts->taken)
		return answer(detail, GONDOLA_PF_IN_USE,
			      "EFER.SVME is set: another hypervisor runs");
	return GONDOLA_PF_OK;
}
