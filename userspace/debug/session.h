/* SPDX-License-Identifier: GPL-2.0-only */
/* Shared by server.c, which has the client's socket, and requests.c, which serves its packets. */
#ifndef DEBUG_SESSION_H
#define DEBUG_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include "packet.h"
#include "registers.h"
#include "stops.h"

struct vm;

#define SESSION_OUT_MAX	(4 * PACKET_MAX)

/**
 * struct session - the client
 * @fd: its socket, or -1
 * @shape: the registers that the client was told of, as vCPU 0 had them then
 * @physical: addresses are guest-physical ("monitor phys")
 * @no_ack: no acknowledgements
 * @running: the guest runs, and an answer is owed when it stops
 * @leaving: the client has said good-bye
 * @thread: the vCPU that registers and memory are asked of
 * @signal: why the guest stands still, as a client names it
 * @stop: the reason of the stop; its @why is 0 if the client stopped it
 * @out, @out_used: output that the client has not read
 * @last, @last_used: the last answer, to be repeated on request
 * @request, @request_used: the packet that it answers
 * @owes_ack: the client has not said that it has the answer
 */
struct session {
	struct vm *vm;
	int fd;
	struct register_shape shape;
	bool physical;
	bool no_ack;
	bool running;
	bool leaving;
	unsigned int thread;
	unsigned int signal;
	struct stop stop;
	struct packet_reader reader;
	char out[SESSION_OUT_MAX];
	size_t out_used;
	char last[2 * PACKET_MAX + 4];
	size_t last_used;
	char request[PACKET_MAX];
	size_t request_used;
	bool owes_ack;
};

/** session_answer() - frame and send @packet, and keep it for a repetition */
void session_answer(struct session *s, const struct packet *packet);
/** requests_take() - serve the packet that @s->reader holds */
void requests_take(struct session *s);
/** requests_put_stop() - report why the guest is stopped */
void requests_put_stop(const struct session *s, struct packet *out);

#endif
