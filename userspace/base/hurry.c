// SPDX-License-Identifier: GPL-2.0-only
#include "hurry.h"

static _Thread_local bool in_a_hurry;

void hurry_set(bool hurries)
{
	in_a_hurry = hurries;
}

bool hurry_may_wait(void)
{
	return !in_a_hurry;
}
