// SPDX-License-Identifier: GPL-2.0-only
/*
 * Requests to a VM's control socket. An input is a row of pieces, each up to a byte
 * 0x1c: a byte says of which client the piece is and what else happens, and the rest is sent. All
 * commands are there, on a VM whose processors do not run, and whose threads cannot be made.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/line_socket.h"
#include "control/control.h"
#include "control/registry.h"
#include "device/device.h"
#include "device/virtio/devices.h"
#include "inspect/dump.h"
#include "inspect/inspect.h"
#include "migrate/commands.h"
#include "migrate/dirty_sample.h"
#include "migrate/suspend.h"
#include "policy/balloon_control.h"
#include "vm/vm.h"
#include "world.h"

#define NEXT		0x1c
#define CLIENTS		4u
#define MOST		(32u << 10)	/* of a piece */
#define CLOSE		0x10
#define PASS_FD		0x20
#define UNREAD		0x40
#define NO_THREAD	EAGAIN

int __wrap_ioctl(int fd, unsigned long request, void *argument);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
			  void *(*fn)(void *), void *argument);

static struct vm vm;
static char path[64];
static int clients[CLIENTS];
static unsigned int nr_sources;
static int null_fd;

/* The module, to whom all is right. */
int __wrap_ioctl(int fd, unsigned long request, void *argument)
{
	(void)fd;
	(void)request;
	(void)argument;
	return 0;
}

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
			  void *(*fn)(void *), void *argument)
{
	(void)thread;
	(void)attributes;
	(void)fn;
	(void)argument;
	return NO_THREAD;
}

static unsigned int count_sources(void)
{
	unsigned int sources = 0;

	for (unsigned int i = 0; i < vm.loop.room; i++)
		sources += vm.loop.sources[i].fd >= 0;
	return sources;
}

static void on_stop(struct control_request *request)
{
	if (!acpi_pm_power_button(request->vm))
		control_fail(request, "not-listening", "it does not listen");
}

static void prepare(void)
{
	static const struct virtio_spec specs[] = { { VIRTIO_BALLOON, NULL } };

	snprintf(path, sizeof(path), "/tmp/gondola-fuzz-control-%d", (int)getpid());
	null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (memory_create_bare(&vm.memory, 4 << 20, false))
		abort();
	strcpy(vm.name, "vm");
	vm.memory.vm_fd = -1;
	vm.fd = -1;
	vm.config = json_object_new_object();
	vm.end_vcpu = -1;
	vm.nr_vcpus = 1;
	vm.vcpus[0].fd = -1;
	pthread_mutex_init(&vm.devices, NULL);
	pthread_mutex_init(&vm.end_lock, NULL);
	pause_init(&vm.pause);
	loop_init(&vm.loop);
	acpi_pm_create(&vm);
	if (!virtio_create_all(&vm, specs, 1, NULL))
		abort();
	control_add("stop", on_stop);
	suspend_add_commands(&vm, NULL);
	migrate_add_commands(&vm, NULL);
	balloon_control_init(&vm, 1 << 20);
	dirty_sample_add_commands();
	inspect_add_commands();
	dump_add_commands(&vm);
	if (!control_open(&vm, path, NULL))
		abort();
	nr_sources = count_sources();
	for (unsigned int i = 0; i < CLIENTS; i++)
		clients[i] = -1;
	world_ready();
}

__attribute__((destructor))
static void remove_socket(void)
{
	if (path[0])
		unlink(path);
}

static void drop_client(unsigned int i)
{
	if (clients[i] >= 0)
		close(clients[i]);
	clients[i] = -1;
}

static void hear(unsigned int i)
{
	static char answers[1 << 16];
	ssize_t count;

	while ((count = recv(clients[i], answers, sizeof(answers), MSG_DONTWAIT)) > 0)
		;
	if (!count)
		drop_client(i);
}

static void piece(uint8_t how, const uint8_t *text, size_t bytes)
{
	unsigned int i = how % CLIENTS;

	if (clients[i] < 0) {
		clients[i] = line_socket_connect(path, -1);
		if (clients[i] < 0)
			abort();
		world_rest(&vm.loop);
	}
	fcntl(clients[i], F_SETFL, O_NONBLOCK);
	if (bytes)
		line_socket_send(clients[i], text, bytes < MOST ? bytes : MOST,
				 how & PASS_FD ? null_fd : -1);
	world_rest(&vm.loop);
	if (!(how & UNREAD))
		hear(i);
	if (how & CLOSE)
		drop_client(i);
}

static void handle(void *argument)
{
	struct input *input = argument;

	while (input->at < input->end) {
		uint8_t how = input_take(input, 1);
		const uint8_t *end = input->at < input->end ?
			memchr(input->at, NEXT, input->end - input->at) : NULL;
		const uint8_t *text = input->at;

		input->at = end ?: input->end;
		piece(how, text, input->at - text);
		input->at += !!end;
	}
}


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct input input = { data, data + bytes };

	if (!path[0])
		prepare();
	/* No request is a reason for the launcher to give up. */
	if (!world_try(handle, &input))
		abort();
	for (unsigned int i = 0; i < CLIENTS; i++)
		drop_client(i);
	world_rest(&vm.loop);
	/* Clients that are gone leave nothing. */
	if (count_sources() != nr_sources)
		abort();
	vm.end = VM_RUNNING;
	vm_unpause(&vm, PAUSE_USER);
	vm.busy = VM_STATE_RUNNING;
	return 0;
}

void world_make_seeds(void)
{
	static const char *const requests[] = {
		"{\"command\":\"status\",\"id\":7}", "{\"command\":\"commands\",\"id\":[1,{}]}",
		"{\"command\":\"subscribe\"}", "{\"command\":\"pause\"}", "{\"command\":\"unpause\"}",
		"{\"command\":\"kill\"}", "{\"command\":\"stop\"}", "{\"command\":\"suspend\"}",
		"{\"command\":\"suspend\",\"file\":\"/dev/null\"}",
		"{\"command\":\"migrate\",\"address\":\"fd:0\",\"downtime_ms\":300,\"max_rounds\":3,\"bandwidth\":1,\"delta_cache\":4096,\"compress\":1,\"postcopy\":false,\"zero\":true,\"delta\":true,\"on_stall\":\"throttle\"}",
		"{\"command\":\"migrate-cancel\"}", "{\"command\":\"migrate-recover\",\"take_back\":true}",
		"{\"command\":\"balloon\",\"size\":4096,\"rate\":4096,\"deadline_ms\":9,\"floor\":4096,\"why\":\"so\"}",
		"{\"command\":\"balloon\",\"cancel\":true}", "{\"command\":\"balloon-status\"}",
		"{\"command\":\"balloon-hint\",\"on\":true}",
		"{\"command\":\"dirty-sample\",\"ms\":10,\"lease_ms\":1000}",
	};
	char text[8192], name[16];
	int used = 0;

	for (unsigned int i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
		snprintf(name, sizeof(name), "%u", i);
		snprintf(text, sizeof(text), "%s\n", requests[i]);
		world_seed(name, i & 1 ? PASS_FD : 0, text, strlen(text));
		used += snprintf(text + used, sizeof(text) - used, "%s\n%c%c", requests[i], NEXT,
				 i % CLIENTS | (i % 5 ? 0 : CLOSE));
	}
	world_seed("all", 0, text, used);
}
