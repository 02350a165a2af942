/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef CMD_METRICS_TEST_H
#define CMD_METRICS_TEST_H

void metrics_formats(void);
void metrics_labels(void);
void metrics_saved_at_once(void);

#endif
