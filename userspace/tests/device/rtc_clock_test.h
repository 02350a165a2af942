/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef TESTS_DEVICE_RTC_CLOCK_TEST_H
#define TESTS_DEVICE_RTC_CLOCK_TEST_H

#include <stdint.h>

/** rtc_clock_armed() - the device's timer @fd was set: it strikes in @first_ns, then each @period_ns */
void rtc_clock_armed(int fd, uint64_t first_ns, uint64_t period_ns);

/** rtc_event_is_not_lost() - the host's clocks go on between any two looks at them */
void rtc_event_is_not_lost(void);

#endif
