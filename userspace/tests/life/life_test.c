// SPDX-License-Identifier: GPL-2.0-only
#include "life_test.h"

#define TEST(name)	{ #name, name }

static const struct tap_test tests[] = {
	TEST(stream_round_trip),
	TEST(stream_order),
	TEST(stream_flipped_bytes),
	TEST(stream_cut),
	TEST(stream_bad_contents),
	TEST(stream_full_disk),
};

TAP_MAIN(tests)
