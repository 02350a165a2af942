// SPDX-License-Identifier: GPL-2.0-only
/* The merging of an exception with the event during whose delivery it arose. */
#include <linux/kernel.h>
#include "event.h"

enum event_class {
	BENIGN,
	CONTRIBUTORY,
	PAGE_FAULT,
	DOUBLE_FAULT,
};

/* All other vectors are benign. */
static const u8 vector_class[] = {
	[VEC_DE] = CONTRIBUTORY,
	[VEC_DF] = DOUBLE_FAULT,
	[VEC_TS] = CONTRIBUTORY,
	[VEC_NP] = CONTRIBUTORY,
	[VEC_SS] = CONTRIBUTORY,
	[VEC_GP] = CONTRIBUTORY,
	[VEC_PF] = PAGE_FAULT,
};

#define VECTORS_WITH_ERROR	(BIT(VEC_DF) | BIT(VEC_TS) | BIT(VEC_NP) | BIT(VEC_SS) | \
				 BIT(VEC_GP) | BIT(VEC_PF) | BIT(VEC_AC))

static enum event_class class_of(u8 vector)
{
	return vector < ARRAY_SIZE(vector_class) ? vector_class[vector] : BENIGN;
}

bool gondola_vector_has_error(u8 vector)
{
	return vector < 32 && (VECTORS_WITH_ERROR & BIT(vector));
}

/* The table of the manual's section on the double-fault exception. */
enum merged { REPLACES, DOUBLES, SHUTS_DOWN };

static enum merged merge(enum event_class first, enum event_class second)
{
	if (second != CONTRIBUTORY && second != PAGE_FAULT)
		return REPLACES;
	if (first == DOUBLE_FAULT)
		return SHUTS_DOWN;
	if (first == PAGE_FAULT || (first == CONTRIBUTORY && second == CONTRIBUTORY))
		return DOUBLES;
	return REPLACES;	/* also a page fault after a contributory exception */
}

void gondola_event_merge(struct gondola_event *queued, const struct gondola_event *next)
{
	if (queued->kind == GONDOLA_EVENT_TRIPLE_FAULT)
		return;
	if (queued->kind != GONDOLA_EVENT_EXCEPTION || next->kind != GONDOLA_EVENT_EXCEPTION) {
		*queued = *next;
		return;
	}
	switch (merge(class_of(queued->vector), class_of(next->vector))) {
	case REPLACES:
		*queued = *next;
		break;
	case DOUBLES:
		*queued = (struct gondola_event){
			.kind = GONDOLA_EVENT_EXCEPTION, .vector = VEC_DF, .has_error = true,
		};
		break;
	case SHUTS_DOWN:
		*queued = (struct gondola_event){ .kind = GONDOLA_EVENT_TRIPLE_FAULT };
		break;
	}
}
