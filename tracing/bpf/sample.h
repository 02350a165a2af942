/* SPDX-License-Identifier: GPL-2.0-only */
/* Rounds of the dirty log without a migration (the launcher's command "dirty-sample"). */
#ifndef SAMPLE_H
#define SAMPLE_H

#include <stdbool.h>
#include <stdint.h>

/** sample_start() - have options.vm's launcher begin a round each @ms; dies if it does not */
void sample_start(uint64_t ms, const char *control_path);
/** sample_look() - to be called every second at least; false */
bool sample_look(void);
void sample_stop(void);

#endif
