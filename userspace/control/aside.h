/* SPDX-License-Identifier: GPL-2.0-only */
/* Requests that may wait, beside the loop: control_aside(). */
#ifndef CONTROL_ASIDE_H
#define CONTROL_ASIDE_H

/** aside_end() - wait for requests in progress */
void aside_end(void);

#endif
