/* SPDX-License-Identifier: GPL-2.0-only */
/* Packets of GDB's remote protocol ("Remote Protocol", Overview, in GDB's manual). */
#ifndef DEBUG_PACKET_H
#define DEBUG_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PACKET_MAX	4096	/* bytes of a packet's content, as reported to the client */

/**
 * enum packet_event - the effect of a byte
 * @PACKET_NONE: nothing is complete
 * @PACKET_READY: a packet of @used bytes is in @data, with a NUL behind
 * @PACKET_WRONG: a packet has a wrong checksum, or is too long
 * @PACKET_INTERRUPT: the client wants the guest to stop
 * @PACKET_ACK: the client has the last answer
 * @PACKET_REPEAT: the client did not understand the last answer
 */
enum packet_event {
	PACKET_NONE,
	PACKET_READY,
	PACKET_WRONG,
	PACKET_INTERRUPT,
	PACKET_ACK,
	PACKET_REPEAT,
};

/** struct packet_reader - a packet that is read; zero it before use */
struct packet_reader {
	enum { PACKET_OUTSIDE, PACKET_INSIDE, PACKET_ESCAPED, PACKET_SUM1, PACKET_SUM2 } state;
	uint8_t sum;
	uint8_t told;
	bool bad;
	size_t used;
	char data[PACKET_MAX + 1];
};

/** packet_read() - take a byte; the client is untrusted */
enum packet_event packet_read(struct packet_reader *reader, uint8_t byte);

/** struct packet - an answer; the part that does not fit is cut off, and @full is set */
struct packet {
	size_t used;
	bool full;
	char data[2 * PACKET_MAX];
};

void packet_text(struct packet *packet, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/** packet_hex() - append two digits for each byte */
void packet_hex(struct packet *packet, const void *data, size_t bytes);
/** packet_binary() - append bytes, with escapes where necessary */
void packet_binary(struct packet *packet, const void *data, size_t bytes);
/** packet_frame() - write "$", the content, "#" and the checksum to @to; returns the size, or 0: no room */
size_t packet_frame(const struct packet *packet, char *to, size_t room);

/** packet_number() - parse hexadecimal digits at *@at, and advance it; false: none, or too many */
bool packet_number(const char **at, uint64_t *number);
/** packet_bytes() - parse @bytes bytes of two digits each at *@at; false: there are fewer */
bool packet_bytes(const char **at, void *to, size_t bytes);

#endif
