// SPDX-License-Identifier: GPL-2.0-only
#include <string.h>

#include "net_flows.h"

/* Of Ethernet, IPv4 (RFC 791) and TCP (RFC 9293), in bytes from the start of each header. */
enum {
	ETHERNET = 14, ETHERNET_TYPE = 12,
	IP_BYTES = 20, IP_LENGTH = 2, IP_FRAGMENT = 6, IP_TTL = 8, IP_PROTOCOL = 9, IP_CHECKSUM = 10,
	IP_ADDRESSES = 12,
	TCP_BYTES = 20, TCP_SEQUENCE = 4, TCP_OFFSET = 12, TCP_FLAGS = 13, TCP_CHECKSUM = 16,
};
#define TCP		6
#define FIN		0x01
#define SYN		0x02
#define RST		0x04
#define FIN_THEIRS	1u
#define FIN_GUESTS	2u
#define FIN_BOTH	(FIN_THEIRS | FIN_GUESTS)

static uint16_t get16(const uint8_t *at)
{
	return at[0] << 8 | at[1];
}

static uint32_t get32(const uint8_t *at)
{
	return (uint32_t)get16(at) << 16 | get16(at + 2);
}

static void put16(uint8_t *at, uint16_t value)
{
	at[0] = value >> 8;
	at[1] = value;
}

static void put32(uint8_t *at, uint32_t value)
{
	put16(at, value >> 16);
	put16(at + 2, value);
}

/**
 * struct segment - what of a frame matters here
 * @next: the sequence number behind it
 */
struct segment {
	struct net_ends ends;
	uint32_t next;
	uint8_t flags;
};

/* False if it is no TCP segment, or none that begins here. */
static bool parse(struct segment *segment, const uint8_t *frame, size_t bytes)
{
	const uint8_t *ip = frame + ETHERNET, *tcp;
	size_t header, all;

	if (bytes < ETHERNET + IP_BYTES + TCP_BYTES || get16(frame + ETHERNET_TYPE) != 0x0800 ||
	    ip[0] >> 4 != 4 || ip[IP_PROTOCOL] != TCP || get16(ip + IP_FRAGMENT) & 0x1fff)
		return false;
	header = 4 * (ip[0] & 15);
	all = get16(ip + IP_LENGTH);
	if (header < IP_BYTES || all < header + TCP_BYTES || all > bytes - ETHERNET)
		return false;
	tcp = ip + header;
	header += 4 * (tcp[TCP_OFFSET] >> 4);
	if (all < header)
		return false;
	memcpy(segment->ends.addresses, ip + IP_ADDRESSES, sizeof(segment->ends.addresses));
	memcpy(segment->ends.ports, tcp, sizeof(segment->ends.ports));
	segment->flags = tcp[TCP_FLAGS];
	segment->next = get32(tcp + TCP_SEQUENCE) + (all - header) + !!(segment->flags & SYN) +
			!!(segment->flags & FIN);
	return true;
}

/* A fragment may be the last one of such a packet, whatever is in it. */
bool net_begins(const uint8_t *frame, size_t bytes)
{
	const uint8_t *ip = frame + ETHERNET;
	struct segment segment;

	if (bytes < ETHERNET + IP_BYTES || get16(frame + ETHERNET_TYPE) != 0x0800)
		return false;
	if (get16(ip + IP_FRAGMENT) & 0x3fff || ip[IP_PROTOCOL] != TCP)
		return true;
	return !parse(&segment, frame, bytes) || segment.flags & SYN;
}

static void turn_round(struct net_ends *ends)
{
	struct net_ends was = *ends;

	memcpy(ends->addresses, was.addresses + 4, 4);
	memcpy(ends->addresses + 4, was.addresses, 4);
	memcpy(ends->ports, was.ports + 2, 2);
	memcpy(ends->ports + 2, was.ports, 2);
}

static struct net_flow *find(struct net_flows *flows, const struct net_ends *ends)
{
	for (unsigned int i = 0; i < flows->count; i++)
		if (!memcmp(&flows->all[i].ends, ends, sizeof(*ends)))
			return &flows->all[i];
	return NULL;
}

/* In a full table the one that was quiet for longest has to go. */
static struct net_flow *add(struct net_flows *flows, const struct net_ends *ends)
{
	struct net_flow *flow = &flows->all[0];

	if (flows->count < NET_FLOWS)
		flow = &flows->all[flows->count++];
	else
		for (unsigned int i = 1; i < NET_FLOWS; i++)
			if (flows->all[i].used < flow->used)
				flow = &flows->all[i];
	*flow = (struct net_flow){ .ends = *ends };
	return flow;
}

static void remove_flow(struct net_flows *flows, struct net_flow *flow)
{
	*flow = flows->all[--flows->count];
}

static void end_if_over(struct net_flows *flows, struct net_flow *flow, const struct segment *segment)
{
	if (segment->flags & RST || flow->fins == FIN_BOTH)
		remove_flow(flows, flow);
}

void net_flows_to_guest(struct net_flows *flows, const uint8_t *frame, size_t bytes)
{
	struct segment segment;
	struct net_flow *flow;

	if (!parse(&segment, frame, bytes))
		return;
	flow = find(flows, &segment.ends);
	if (segment.flags & SYN && !flow)
		flow = add(flows, &segment.ends);
	if (!flow)
		return;
	/* Of what is sent again, nothing is new; a connection that begins has no past. */
	if (segment.flags & SYN || (int32_t)(segment.next - flow->next) > 0)
		flow->next = segment.next;
	if (segment.flags & SYN)
		flow->fins = 0;
	if (segment.flags & FIN)
		flow->fins |= FIN_THEIRS;
	flow->used = ++flows->frames;
	memcpy(flow->ethernet, frame, sizeof(flow->ethernet));
	end_if_over(flows, flow, &segment);
}

void net_flows_from_guest(struct net_flows *flows, const uint8_t *frame, size_t bytes)
{
	struct segment segment;
	struct net_flow *flow;

	if (!flows->count || !parse(&segment, frame, bytes))
		return;
	turn_round(&segment.ends);
	flow = find(flows, &segment.ends);
	if (!flow)
		return;
	if (segment.flags & FIN)
		flow->fins |= FIN_GUESTS;
	flow->used = ++flows->frames;
	end_if_over(flows, flow, &segment);
}

static uint32_t sum_of(const uint8_t *data, unsigned int bytes, uint32_t sum)
{
	for (unsigned int i = 0; i < bytes; i += 2)
		sum += get16(data + i);
	return sum;
}

static uint16_t checksum(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

/* With the number that the guest waits for; at another one it asks, and is reset by the answer. */
void net_flows_reset(const struct net_flows *flows, unsigned int index, uint8_t *frame)
{
	const struct net_flow *flow = &flows->all[index];
	uint8_t *ip = frame + ETHERNET, *tcp = ip + IP_BYTES;

	memset(frame, 0, NET_RESET_BYTES);
	memcpy(frame, flow->ethernet, sizeof(flow->ethernet));
	ip[0] = 0x45;
	put16(ip + IP_LENGTH, IP_BYTES + TCP_BYTES);
	ip[IP_TTL] = 64;
	ip[IP_PROTOCOL] = TCP;
	memcpy(ip + IP_ADDRESSES, flow->ends.addresses, sizeof(flow->ends.addresses));
	put16(ip + IP_CHECKSUM, checksum(sum_of(ip, IP_BYTES, 0)));
	memcpy(tcp, flow->ends.ports, sizeof(flow->ends.ports));
	put32(tcp + TCP_SEQUENCE, flow->next);
	tcp[TCP_OFFSET] = TCP_BYTES / 4 << 4;
	tcp[TCP_FLAGS] = RST;
	/* The addresses, the protocol and the length are summed up, too. */
	put16(tcp + TCP_CHECKSUM, checksum(sum_of(ip + IP_ADDRESSES, 8,
						  sum_of(tcp, TCP_BYTES, TCP + TCP_BYTES))));
}
