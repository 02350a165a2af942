// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests of the virtio devices with a driver of our own: rings as a hostile
 * guest would write them, requests to each device, nonsense in all registers,
 * and saved state that is right, wrong or cut off.
 */
#include <stdlib.h>
#include <unistd.h>

#include "driver.h"

#define MAX_TESTS	96

char disk_name[DISK_NAME_ROOM] = "/tmp/gondola-virtio-XXXXXX";

int main(void)
{
	static const struct test_table *const tables[] = {
		&queue_tests, &transport_tests, &disk_tests, &net_tests, &console_tests, &state_tests,
		&vhost_tests, &image_tests, &passt_tests,
	};
	static struct tap_test tests[MAX_TESTS];
	unsigned int count = 0;
	int fd = mkstemp(disk_name), status;

	if (fd < 0) {
		perror(disk_name);
		return 1;
	}
	close(fd);
	for (unsigned int i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
		if (tables[i]->count > MAX_TESTS - count) {
			fprintf(stderr, "more than %d tests\n", MAX_TESTS);
			return 1;
		}
		memcpy(tests + count, tables[i]->tests, tables[i]->count * sizeof(tests[0]));
		count += tables[i]->count;
	}
	status = tap_run(tests, count);
	unlink(disk_name);
	return status;
}
