/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tests that report by TAP, in two tiers: expect() reports and goes on,
 * require() reports and ends the test it is in.  A program has a table of tests
 * and calls tap_run() from main().
 */
#ifndef TAP_H
#define TAP_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define TAP_SKIP_ALL	4		/* exit status of kselftest for "could not run" */

struct tap_test {
	const char *name;
	void (*run)(void);
};

struct tap_state {
	jmp_buf end;
	bool failed;
	const char *skip;		/* why, or NULL */
	char reason[256];
};

/* One for all files of a program, whoever of them comes first. */
extern struct tap_state tap;
__attribute__((weak)) struct tap_state tap;

__attribute__((format(printf, 3, 4), unused))
static bool tap_check(bool right, bool must, const char *format, ...)
{
	va_list args;

	if (right)
		return true;
	tap.failed = true;
	va_start(args, format);
	printf("# ");
	vprintf(format, args);
	printf("\n");
	va_end(args);
	if (must)
		longjmp(tap.end, 1);
	return false;
}

__attribute__((format(printf, 1, 2), unused, noreturn))
static void tap_skip(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(tap.reason, sizeof(tap.reason), format, args);
	va_end(args);
	tap.skip = tap.reason;
	longjmp(tap.end, 1);
}

#define expect(condition)							\
	tap_check(condition, false, "%s:%d: not true: %s", __FILE__, __LINE__, #condition)
#define require(condition)							\
	tap_check(condition, true, "%s:%d: not true: %s", __FILE__, __LINE__, #condition)

#define tap_equal(must, left, right) ({						\
	long long left_ = (long long)(left), right_ = (long long)(right);	\
	tap_check(left_ == right_, must, "%s:%d: %s is %lld (0x%llx), not %lld (0x%llx)", \
		  __FILE__, __LINE__, #left, left_, left_, right_, right_);	\
})
#define expect_equal(left, right)	tap_equal(false, left, right)
#define require_equal(left, right)	tap_equal(true, left, right)

/** tap_run() - all tests of a table; returns the exit status for main() */
__attribute__((unused))
static int tap_run(const struct tap_test *tests, unsigned int count)
{
	volatile unsigned int failures = 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("TAP version 13\n1..%u\n", count);
	for (volatile unsigned int i = 0; i < count; i = i + 1) {
		tap.failed = false;
		tap.skip = NULL;
		if (!setjmp(tap.end))
			tests[i].run();
		failures = failures + tap.failed;
		printf("%s %u - %s%s%s\n", tap.failed ? "not ok" : "ok", i + 1, tests[i].name,
		       tap.skip ? " # SKIP " : "", tap.skip ? tap.skip : "");
	}
	return failures ? 1 : 0;
}

#define TAP_MAIN(tests)								\
int main(void)									\
{										\
	return tap_run(tests, sizeof(tests) / sizeof((tests)[0]));		\
}

#endif
