// SPDX-License-Identifier: GPL-2.0-only
#include <stddef.h>

#include "phase.h"

const char *migrate_phase_name(unsigned int phase)
{
	static const char *const names[MIGRATE_PHASES] = {
		[MIGRATE_IDLE] = "idle",
		[MIGRATE_CHECK] = "check",
		[MIGRATE_RESERVE] = "reserve",
		[MIGRATE_COPY] = "copy",
		[MIGRATE_STOP] = "stop-and-copy",
		[MIGRATE_COMMIT] = "commit",
		[MIGRATE_RESUME] = "resume",
		[MIGRATE_POSTCOPY] = "post-copy",
		[MIGRATE_BROKEN] = "broken",
		[MIGRATE_DONE] = "done",
		[MIGRATE_FAILED] = "failed",
	};

	return phase < MIGRATE_PHASES ? names[phase] : NULL;
}
