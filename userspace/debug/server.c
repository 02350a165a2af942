// SPDX-License-Identifier: GPL-2.0-only
/*
 * A client of GDB's remote protocol, which a command passes or which connects (--gdb).  The guest
 * is stopped until the client says "continue".  If the client vanishes at any point, the guest runs
 * as before.
 *
 * A thread of its own does all this and waits for vCPUs.  The client is untrusted: packets are
 * bounded, and a client that does not read answers is disconnected.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "debug.h"
#include "listen.h"
#include "packet.h"
#include "session.h"
#include "stops.h"
#include "target.h"
#include "base/fail.h"
#include "base/line_socket.h"
#include "control/control.h"
#include "sandbox/sandbox.h"
#include "vm/vm.h"

#define SIGNAL_INT	2
#define SIGNAL_TRAP	5

/* For the process' VM and its control socket.  @session: NULL if there is no client. */
static struct {
	struct vm *vm;
	struct loop loop;
	pthread_t thread;
	bool started;
	struct session *session;
} server;

/* ---- what goes out -------------------------------------------------------------------- */

/* The client has left, or was never there. */
static void leave(void)
{
	__atomic_fetch_sub(&server.vm->debuggers, 1, __ATOMIC_RELEASE);
}

/* End the client's session; the guest continues. */
static void let_go(struct session *s)
{
	loop_remove(&server.loop, s->fd);
	close(s->fd);
	stops_close();
	server.session = NULL;
	free(s);
	leave();
}

static void send_bytes(struct session *s, const char *data, size_t bytes)
{
	if (bytes > sizeof(s->out) - s->out_used) {
		s->leaving = true;
		return;
	}
	memcpy(s->out + s->out_used, data, bytes);
	s->out_used += bytes;
}

void session_answer(struct session *s, const struct packet *packet)
{
	struct packet failed = { .used = 3, .data = "E07" };

	s->last_used = packet_frame(packet->full ? &failed : packet, s->last, sizeof(s->last));
	s->owes_ack = !s->no_ack;
	send_bytes(s, s->last, s->last_used);
}

static void flush(struct session *s)
{
	ssize_t done = 0;

	if (s->out_used)
		done = send(s->fd, s->out, s->out_used, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (done < 0 && errno != EAGAIN && errno != EINTR) {
		s->leaving = true;
		return;
	}
	if (done > 0) {
		s->out_used -= (size_t)done;
		memmove(s->out, s->out + done, s->out_used);
	}
	loop_watch(&server.loop, s->fd, POLLIN | (s->out_used ? POLLOUT : 0));
}

/* ---- what comes in --------------------------------------------------------------------- */

static void tell_words(struct session *s, const char *words)
{
	struct packet out = { .used = 0 };

	packet_text(&out, "O");
	packet_hex(&out, words, strlen(words));
	session_answer(s, &out);
}

static void tell_stop(struct session *s, unsigned int signal, const struct stop *stop)
{
	struct packet out = { .used = 0 };
	struct registers registers;

	if (!s->shape.long_mode && target_get(s->vm, s->thread, &registers) && target_is_long(&registers))
		tell_words(s, "This vCPU is in long mode now: detach and attach again to see all of "
			   "its registers.\n");
	s->running = false;
	s->signal = signal;
	s->stop = *stop;
	requests_put_stop(s, &out);
	session_answer(s, &out);
}

static void interrupt(struct session *s)
{
	const struct stop none = { .why = 0 };

	if (!s->running)
		return;
	stops_pause();
	tell_stop(s, SIGNAL_INT, &none);
}

static void on_stop(const struct stop *stop)
{
	struct session *s = server.session;

	if (!s || !s->running)
		return;
	s->thread = stop->vcpu;
	if (!stop->why)
		tell_words(s, "This instruction cannot be stepped: the interpreter does not know it.\n");
	tell_stop(s, SIGNAL_TRAP, stop);
	flush(s);
	if (s->leaving)
		let_go(s);
}

/*
 * GDB waits two seconds for an acknowledgement, and then sends its packet again.  On a busy host both
 * arrive, and an answer to each would belong to GDB's next packet.
 */
static bool is_sent_again(const struct session *s)
{
	return s->owes_ack && s->reader.used == s->request_used &&
	       !memcmp(s->reader.data, s->request, s->request_used);
}

static void take_packet(struct session *s)
{
	bool again = is_sent_again(s);

	if (!s->no_ack)
		send_bytes(s, "+", 1);
	if (again)
		return;
	s->request_used = s->reader.used;
	memcpy(s->request, s->reader.data, s->reader.used);
	s->owes_ack = false;
	requests_take(s);
}

static void take(struct session *s, uint8_t byte)
{
	switch (packet_read(&s->reader, byte)) {
	case PACKET_NONE:
		break;
	case PACKET_READY:
		take_packet(s);
		break;
	case PACKET_ACK:
		s->owes_ack = false;
		break;
	case PACKET_WRONG:
		if (!s->no_ack)
			send_bytes(s, "-", 1);
		break;
	case PACKET_INTERRUPT:
		interrupt(s);
		break;
	case PACKET_REPEAT:
		if (!s->no_ack)
			send_bytes(s, s->last, s->last_used);
		break;
	}
}

static void on_client(void *argument, int fd, short events)
{
	struct session *s = server.session;
	uint8_t data[1024];
	ssize_t bytes;

	(void)argument;
	(void)events;
	/* A source that was removed in this iteration of the loop may still be called once. */
	if (!s || s->fd != fd)
		return;
	bytes = recv(fd, data, sizeof(data), MSG_DONTWAIT);
	if (!bytes || (bytes < 0 && errno != EAGAIN && errno != EINTR))
		s->leaving = true;
	for (ssize_t i = 0; i < bytes && !s->leaving; i++)
		take(s, data[i]);
	flush(s);
	if (s->leaving)
		let_go(s);
}

/* ---- attaching ------------------------------------------------------------------------------ */

/* The present client may have hung up a moment ago: then it must not keep the next one out. */
static void let_go_if_gone(void)
{
	while (server.session) {
		struct pollfd look = { .fd = server.session->fd, .events = POLLRDHUP };

		if (poll(&look, 1, 0) <= 0)
			return;
		on_client(NULL, look.fd, look.revents);
	}
}

/* True: the client at @fd is the debugger now, and the guest is stopped. */
static bool attach(struct vm *vm, int fd, const char **code, const char **words)
{
	struct registers registers;
	struct session *s;

	*code = "busy";
	*words = "it has a debugger already";
	if (server.session)
		return false;
	*words = "it still receives its memory from another host";
	if (__atomic_load_n(&vm->memory.absent, __ATOMIC_ACQUIRE))
		return false;
	*code = "failed";
	*words = "out of memory";
	s = calloc(1, sizeof(*s));
	if (!s)
		return false;
	vm_pause(vm, PAUSE_DEBUG);
	*words = "the module has no call for debuggers, or does not tell its state";
	if (!target_get(vm, 0, &registers) || !stops_open(vm, &server.loop, on_stop)) {
		vm_unpause(vm, PAUSE_DEBUG);
		free(s);
		return false;
	}
	s->vm = vm;
	s->fd = fd;
	s->signal = SIGNAL_TRAP;
	s->shape = registers.shape;
	server.session = s;
	loop_add(&server.loop, fd, POLLIN, on_client, NULL);
	return true;
}

/* Refuse a client in terms of the protocol: an error in words, instead of a stop. */
static void refuse(int fd, const char *words)
{
	struct packet out = { .used = 0 };
	char framed[1024];
	ssize_t sent;

	packet_text(&out, "E.%s", words);
	sent = send(fd, framed, packet_frame(&out, framed, sizeof(framed)),
		    MSG_DONTWAIT | MSG_NOSIGNAL);
	/* A client that does not read misses it. */
	(void)sent;
	close(fd);
}

/* Nothing was sent to this client yet, so the socket can be written at once. */
static void on_newcomer(void *argument, int fd, short events)
{
	struct control_request *request = argument;
	const char *code, *why;
	bool taken;

	(void)events;
	loop_remove(&server.loop, fd);
	let_go_if_gone();
	taken = attach(server.vm, fd, &code, &why);
	if (!taken)
		leave();
	if (!taken && request)
		control_fail(request, code, "%s cannot be debugged: %s", server.vm->name, why);
	else if (!taken)
		refuse(fd, why);
	if (!taken && request)
		close(fd);
	if (request)
		control_done(request);
}

/* ---- the main thread -------------------------------------------------------------------------- */

static void *run_server(void *argument)
{
	(void)argument;
	sandbox_thread(SANDBOX_MOVE);
	loop_run(&server.loop);
	return NULL;
}

/* The thread starts with the first client.  From now on no migration can begin. */
static bool hand_over(int fd, struct control_request *request)
{
	if (!server.started)
		server.started = !pthread_create(&server.thread, NULL, run_server, NULL);
	if (server.started)
		__atomic_fetch_add(&server.vm->debuggers, 1, __ATOMIC_RELEASE);
	if (server.started)
		loop_add(&server.loop, fd, POLLOUT, on_newcomer, request);
	return server.started;
}

static void on_gdb(struct control_request *request)
{
	int fd = request->fd;

	if (fd < 0) {
		control_fail(request, "bad-argument", "gdb: a socket must come along");
		return;
	}
	request->fd = -1;
	control_later(request);
	if (hand_over(fd, request))
		return;
	control_fail(request, "failed", "cannot make a thread");
	control_done(request);
	close(fd);
}

static void on_connection(void *argument, int fd, short events)
{
	int peer = line_socket_accept(fd, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct vm *vm = server.vm;
	char words[256];

	(void)argument;
	(void)events;
	if (peer < 0)
		return;
	if (vm_state_allows("gdb", vm->name, vm_state(vm), words, sizeof(words)))
		refuse(peer, words);
	else if (!hand_over(peer, NULL))
		close(peer);
}

bool debug_listen(struct vm *vm, const char *address, struct error *error)
{
	int fd = listen_open(address, error);

	if (fd >= 0)
		loop_add(&vm->loop, fd, POLLIN, on_connection, NULL);
	return fd >= 0;
}

void debug_add_commands(struct vm *vm)
{
	server.vm = vm;
	loop_init(&server.loop);
	control_add("gdb", on_gdb);
}

void debug_end(void)
{
	if (server.started) {
		loop_stop(&server.loop);
		pthread_join(server.thread, NULL);
	}
	if (server.session)
		close(server.session->fd);
}
