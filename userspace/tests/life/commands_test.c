// SPDX-License-Identifier: GPL-2.0-only
/* Commands that come in one go: the second is judged by what the first one did. */
#include <pthread.h>
#include <semaphore.h>
#include <unistd.h>

#include "life_test.h"
#include "migrate/commands.h"
#include "migrate/source.h"
#include "migrate/target.h"
#include "vm/vm.h"

/* ---- a migration that ends when it is told to, and fails --------------------------------- */

static sem_t may_end;

void source_run(struct source *s)
{
	sem_wait(&may_end);
	close(s->options.fd);
	vm_set_busy(s->vm, VM_STATE_RUNNING);
}

bool source_settle(struct source *s)
{
	(void)s;
	return false;
}

void source_take_back(struct source *s)
{
	(void)s;
}

struct target *target_here(void)
{
	return NULL;
}

void target_join(struct target *target)
{
	(void)target;
}

uint64_t target_left(const struct target *target)
{
	(void)target;
	return 0;
}

bool target_lost(const struct target *target)
{
	(void)target;
	return false;
}

void target_wake(const struct target *target)
{
	(void)target;
}

uint64_t link_now_ns(void)
{
	return 0;
}

bool transport_check(const char *address, char *error)
{
	(void)address;
	(void)error;
	return true;
}

void transport_cut(const struct transport *transport)
{
	(void)transport;
}

/* ---- tests ------------------------------------------------------------------------------- */

/* One socket, one moment: the VM must not be saved to a file and moved too. */
void commands_in_one_go(void)
{
	unsigned int both = 0;

	require_equal(sem_init(&may_end, 0, 0), 0);
	for (int i = 0; i < 200; i++) {
		both += control_test_two("{\"command\":\"migrate\",\"address\":\"tcp:a:1\"}\n"
					 "{\"command\":\"suspend\"}\n", &may_end);
	}
	tap_check(!both, false, "migrate and suspend are both accepted, %u of 200 times", both);
}
