/* SPDX-License-Identifier: GPL-2.0-only */
/* Packets of GDB's remote protocol ("Remote Protocol", Overview, in GDB's manual). */
#ifndef DEBUG_PACKET_H
#define DEBUG_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PACKET_MAX	4096	/* bytes of a packet's content, as they are told to the client */

/**
 * enum packet_event - what a byte has completed
 * @PACKET_NONE: nothing
 * @PACKET_READY: a packet: @data, @used bytes, and a NUL behind them
 * @PACKET_WRONG: a packet whose checksum is wrong, or that is too long
 * @PACKET_INTERRUPT: the client wants the guest to stop
 * @PACKET_REPEAT: the client did not understand the last answer
 */
enum packet_event {
	PACKET_NONE,
	PACKET_READY,
	PACKET_WRONG,
	PACKET_INTERRUPT,
	PACKET_REPEAT,
};

/** struct packet_reader - a packet under way; starts as zeroes */
struct packet_reader {
	enum { PACKET_OUTSIDE, PACKET_INSIDE, PACKET_ESCAPED, PACKET_SUM1, PACKET_SUM2 } state;
	uint8_t sum;
	uint8_t told;
	bool bad;
	size_t used;
	char data[PACKET_MAX + 1];
};

/** packet_read() - take one byte; the client is untrusted */
enum packet_event packet_read(struct packet_reader *reader, uint8_t byte);

/** struct packet - an answer; more than fits is cut off, and @full says so */
struct packet {
	size_t used;
	bool full;
	char data[2 * PACKET_MAX];
};

void packet_text(struct packet *packet, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/** packet_hex() - two digits for each byte */
void packet_hex(struct packet *packet, const void *data, size_t bytes);
/** packet_binary() - bytes as they are, but for those that must be escaped */
void packet_binary(struct packet *packet, const void *data, size_t bytes);
/** packet_frame() - "$", the content, "#" and the checksum; returns the bytes at @to, or 0: no room */
size_t packet_frame(const struct packet *packet, char *to, size_t room);

/** packet_number() - hexadecimal digits at *@at, which goes on behind them; false: none, or too many */
bool packet_number(const char **at, uint64_t *number);
/** packet_bytes() - @bytes bytes, two digits each, from *@at on; false: they are not there */
bool packet_bytes(const char **at, void *to, size_t bytes);

#endif
