// SPDX-License-Identifier: GPL-2.0-only
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "packet.h"

#define ESCAPE		'}'
#define ESCAPE_BIT	0x20
#define INTERRUPT	0x03

static const char digits[] = "0123456789abcdef";

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static void begin(struct packet_reader *reader)
{
	reader->state = PACKET_INSIDE;
	reader->sum = 0;
	reader->bad = false;
	reader->used = 0;
}

static void keep(struct packet_reader *reader, uint8_t byte)
{
	if (reader->used == PACKET_MAX)
		reader->bad = true;
	else
		reader->data[reader->used++] = (char)byte;
}

static enum packet_event outside(struct packet_reader *reader, uint8_t byte)
{
	if (byte == '$')
		begin(reader);
	else if (byte == INTERRUPT)
		return PACKET_INTERRUPT;
	else if (byte == '+')
		return PACKET_ACK;
	else if (byte == '-')
		return PACKET_REPEAT;
	return PACKET_NONE;
}

static enum packet_event end(struct packet_reader *reader, uint8_t byte)
{
	int low = digit((char)byte);

	reader->state = PACKET_OUTSIDE;
	reader->data[reader->used] = 0;
	if (reader->bad || low < 0 || (reader->told << 4 | low) != reader->sum)
		return PACKET_WRONG;
	return PACKET_READY;
}

enum packet_event packet_read(struct packet_reader *reader, uint8_t byte)
{
	int high;

	switch (reader->state) {
	case PACKET_OUTSIDE:
		return outside(reader, byte);
	case PACKET_INSIDE:
		if (byte == '#') {
			reader->state = PACKET_SUM1;
			break;
		}
		/* The end of the last packet was lost. */
		if (byte == '$') {
			begin(reader);
			break;
		}
		reader->sum += byte;
		if (byte == ESCAPE)
			reader->state = PACKET_ESCAPED;
		else
			keep(reader, byte);
		break;
	case PACKET_ESCAPED:
		reader->sum += byte;
		keep(reader, byte ^ ESCAPE_BIT);
		reader->state = PACKET_INSIDE;
		break;
	case PACKET_SUM1:
		high = digit((char)byte);
		reader->bad |= high < 0;
		reader->told = high < 0 ? 0 : (uint8_t)high;
		reader->state = PACKET_SUM2;
		break;
	case PACKET_SUM2:
		return end(reader, byte);
	}
	return PACKET_NONE;
}

static void put(struct packet *packet, const char *data, size_t bytes)
{
	if (bytes > sizeof(packet->data) - packet->used) {
		packet->full = true;
		return;
	}
	memcpy(packet->data + packet->used, data, bytes);
	packet->used += bytes;
}

void packet_text(struct packet *packet, const char *format, ...)
{
	char text[512];
	va_list args;
	int bytes;

	va_start(args, format);
	bytes = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (bytes < 0 || bytes >= (int)sizeof(text))
		packet->full = true;
	else
		put(packet, text, (size_t)bytes);
}

void packet_hex(struct packet *packet, const void *data, size_t bytes)
{
	const uint8_t *from = data;

	for (size_t i = 0; i < bytes; i++) {
		const char pair[] = { digits[from[i] >> 4], digits[from[i] & 15] };

		put(packet, pair, sizeof(pair));
	}
}

void packet_binary(struct packet *packet, const void *data, size_t bytes)
{
	const char *from = data;

	for (size_t i = 0; i < bytes; i++) {
		const char escaped[] = { ESCAPE, (char)(from[i] ^ ESCAPE_BIT) };

		if (strchr("#$}*", from[i]) && from[i])
			put(packet, escaped, sizeof(escaped));
		else
			put(packet, &from[i], 1);
	}
}

size_t packet_frame(const struct packet *packet, char *to, size_t room)
{
	uint8_t sum = 0;

	if (room < packet->used + 4)
		return 0;
	for (size_t i = 0; i < packet->used; i++)
		sum += (uint8_t)packet->data[i];
	to[0] = '$';
	memcpy(to + 1, packet->data, packet->used);
	to[packet->used + 1] = '#';
	to[packet->used + 2] = digits[sum >> 4];
	to[packet->used + 3] = digits[sum & 15];
	return packet->used + 4;
}

bool packet_number(const char **at, uint64_t *number)
{
	const char *from = *at;

	*number = 0;
	while (digit(**at) >= 0) {
		if (*at - from == 16)
			return false;
		*number = *number << 4 | (uint64_t)digit(*(*at)++);
	}
	return *at != from;
}

bool packet_bytes(const char **at, void *to, size_t bytes)
{
	uint8_t *byte = to;

	while (bytes--) {
		int high = digit((*at)[0]), low = high < 0 ? -1 : digit((*at)[1]);

		if (low < 0)
			return false;
		*byte++ = (uint8_t)(high << 4 | low);
		*at += 2;
	}
	return true;
}
