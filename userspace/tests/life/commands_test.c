// SPDX-License-Identifier: GPL-2.0-only
/* Commands that come in one go: the second is judged by what the first one did. */
#include <pthread.h>
#include <semaphore.h>
#include <string.h>
#include <unistd.h>

#include "base/member.h"
#include "control/client.h"
#include "life_test.h"
#include "migrate/commands.h"
#include "migrate/source.h"
#include "migrate/target.h"
#include "vm/vm.h"

/* ---- a migration that ends when it is told to, and fails --------------------------------- */

static sem_t may_end, settles;
static enum migrate_phase ends_as = MIGRATE_FAILED;
static bool asks, says_yes;
static unsigned int taken_back;

void source_run(struct source *s)
{
	sem_wait(&may_end);
	close(s->options.fd);
	vm_set_busy(s->vm, VM_STATE_RUNNING);
	s->phase = ends_as;
}

/* Its target is asked whether it has the VM, and says yes, or does not answer. */
bool source_settle(struct source *s)
{
	if (!asks)
		return false;
	pthread_mutex_lock(&s->lock);
	s->settling = true;
	pthread_mutex_unlock(&s->lock);
	sem_post(&settles);
	sem_wait(&may_end);
	s->theirs = says_yes;
	pthread_mutex_lock(&s->lock);
	s->settling = false;
	pthread_mutex_unlock(&s->lock);
	sem_post(&settles);
	return false;
}

void source_take_back(struct source *s)
{
	taken_back++;
	s->phase = MIGRATE_FAILED;
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

bool transport_check(const char *address, struct error *error)
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

static void expect_answer(struct control_link *link, int64_t id, const char *code)
{
	struct json_object *answer = control_read(link, 30000);

	require(answer);
	expect_equal(member_number(answer, "id", -1), id);
	tap_check(!strcmp(member_string(member_object(answer, "error"), "code", ""), code), false,
		  "request %lld is answered by \"%s\", not \"%s\"", (long long)id,
		  member_string(member_object(answer, "error"), "code", ""), code);
	json_object_put(answer);
}

/* "Cancelled" is said when the VM is here, and not while it goes on. */
void cancelled_when_it_is(void)
{
	struct control_link link;

	control_test_send(&link, "{\"id\":1,\"command\":\"migrate\",\"address\":\"tcp:a:1\"}\n"
			  "{\"id\":2,\"command\":\"migrate-cancel\"}\n"
			  "{\"id\":9,\"command\":\"commands\"}\n");
	/* Lines are taken in turn, so the second one was. */
	expect_answer(&link, 9, "");
	expect(!control_read(&link, 200));
	sem_post(&may_end);
	expect_answer(&link, 1, "cancelled");
	expect_answer(&link, 2, "");
	control_disconnect(&link);
	/* One that came while the VM changed hands, which nobody is sure of. */
	ends_as = MIGRATE_BROKEN;
	control_test_send(&link, "{\"id\":3,\"command\":\"migrate\",\"address\":\"tcp:a:1\"}\n"
			  "{\"id\":4,\"command\":\"migrate-cancel\"}\n"
			  "{\"id\":9,\"command\":\"commands\"}\n");
	expect_answer(&link, 9, "");
	sem_post(&may_end);
	expect_answer(&link, 3, "in-doubt");
	expect_answer(&link, 4, "too-late");
	control_disconnect(&link);
}

/* It may run elsewhere: a copy in a file would be its twin. */
void in_doubt_it_stays(void)
{
	struct control_link link;

	control_test_send(&link, "{\"id\":1,\"command\":\"suspend\"}\n"
			  "{\"id\":2,\"command\":\"migrate\",\"address\":\"tcp:a:1\"}\n"
			  "{\"id\":3,\"command\":\"migrate-recover\",\"take_back\":true}\n");
	expect_answer(&link, 1, "busy");
	expect_answer(&link, 2, "busy");
	expect_answer(&link, 3, "");
	control_disconnect(&link);
	control_test_send(&link, "{\"id\":4,\"command\":\"suspend\"}\n");
	expect_answer(&link, 4, "");
	control_disconnect(&link);
	ends_as = MIGRATE_FAILED;
}

/* From a VM in doubt, whose target is asked and then answers as it is told to. */
static void in_doubt_until_asked(bool yes)
{
	struct control_link link;

	require_equal(sem_init(&settles, 0, 0), 0);
	asks = true;
	says_yes = yes;
	ends_as = MIGRATE_BROKEN;
	taken_back = 0;
	control_test_send(&link, "{\"id\":1,\"command\":\"migrate\",\"address\":\"tcp:a:1\"}\n");
	sem_post(&may_end);
	expect_answer(&link, 1, "in-doubt");
	control_disconnect(&link);
	sem_wait(&settles);
	control_test_send(&link, "{\"id\":2,\"command\":\"migrate-recover\",\"take_back\":true}\n");
	expect_answer(&link, 2, "wrong-state");
	control_disconnect(&link);
	sem_post(&may_end);
	sem_wait(&settles);
	expect_equal(taken_back, 0);
	control_test_send(&link, "{\"id\":3,\"command\":\"migrate-recover\",\"take_back\":true}\n");
	expect_answer(&link, 3, yes ? "wrong-state" : "");
	control_disconnect(&link);
	expect_equal(taken_back, yes ? 0 : 1);
	asks = false;
	ends_as = MIGRATE_FAILED;
}

/* While the target is asked whether it has the VM, its answer decides; and so it does after. */
void taken_back_once_it_is_known(void)
{
	in_doubt_until_asked(false);
	in_doubt_until_asked(true);
}
