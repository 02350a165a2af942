// SPDX-License-Identifier: GPL-2.0-only
/*
 * Writes nonsense to every register of every device, "count=N" times, seeded; with "devices=N"
 * virtio devices, of which the last is an entropy device. Whatever came of it, all can be reset
 * and the last one works: debug exit 5; 1 to 4 say what does not.
 *
 * It leaves out all that would end the guest by right: resets and power-off, and the interrupt
 * controllers that could send it an NMI or an INIT.
 */
#include "guest.h"

#define VIRTIO		0xe0000000u
#define STRIDE		0x1000u
#define RINGS		0x400000u	/* and all behind up to END: what devices may be told of */
#define BUFFER		0x500000u
#define END		0x800000u

enum {
	MAGIC = 0x00, FEATURES = 0x20, FEATURES_SELECT = 0x24, QUEUE_SELECT = 0x30, QUEUE_SIZE = 0x38,
	QUEUE_READY = 0x44, NOTIFY = 0x50, ACK = 0x64, STATUS = 0x70, DESC = 0x80, AVAIL = 0x90,
	USED = 0xa0,
};

static uint32_t state = 20260105;

static uint32_t random(void)
{
	state ^= state << 13;
	state ^= state >> 17;
	state ^= state << 5;
	return state;
}

static volatile uint32_t *reg(uint32_t device, uint32_t offset)
{
	return (volatile uint32_t *)(VIRTIO + device * STRIDE + offset);
}

/* A value that may mean something, or not. */
static uint32_t value(void)
{
	static const uint32_t some[] = {
		0, 1, 2, 3, 7, 11, 15, 16, 128, 256, RINGS, RINGS + 0x1000, RINGS + 0x2000, BUFFER,
		END, 0x7fffffff, 0xfffffff0, 0xffffffff,
	};

	return random() % 2 ? some[random() % (sizeof(some) / sizeof(some[0]))] : random();
}

/* Brings a queue up as a driver does, with @rings, whatever lies there. */
static void bring_up(uint32_t device, uint32_t rings)
{
	*reg(device, STATUS) = 0;
	*reg(device, STATUS) = 3;
	*reg(device, FEATURES_SELECT) = 1;
	*reg(device, FEATURES) = 1;
	*reg(device, STATUS) = 11;
	*reg(device, QUEUE_SELECT) = 0;
	*reg(device, QUEUE_SIZE) = 16;
	*reg(device, DESC) = rings;
	*reg(device, DESC + 4) = 0;
	*reg(device, AVAIL) = rings + 0x1000;
	*reg(device, AVAIL + 4) = 0;
	*reg(device, USED) = rings + 0x2000;
	*reg(device, USED + 4) = 0;
	*reg(device, QUEUE_READY) = 1;
	*reg(device, STATUS) = 15;
}

static void to_virtio(uint32_t devices)
{
	uint32_t device = random() % devices;
	uint32_t offset = random() % 4 ? random() % 0x50 * 4 : random() % STRIDE;

	switch (random() % 16) {
	case 0:
		*(volatile uint8_t *)reg(device, offset) = value();
		break;
	case 1:
		*(volatile uint16_t *)reg(device, offset) = value();
		break;
	case 2:
		for (int i = 0; i < 64; i++)
			*(volatile uint32_t *)(RINGS + random() % 0xc00 * 4) = value();
		break;
	case 3:
		/* Not more buffers than there can be, so that some are looked at. */
		((volatile uint16_t *)(RINGS + 0x1000))[1] = random() % 17;
		bring_up(device, RINGS);
		break;
	case 4:
		*reg(device, NOTIFY) = random() % 4;
		break;
	default:
		*reg(device, offset & ~3u) = value();
	}
}

static void to_ports(void)
{
	/* Where, how many ports, and which bits may be written. */
	static const struct {
		uint16_t port, count;
		uint32_t mask;
	} ports[] = {
		{ SERIAL_PORT, 8, ~0u }, { 0x70, 2, ~0u }, { 0x600, 4, ~0u }, { 0x604, 2, 0x1f },
		{ 0x608, 4, ~0u }, { 0x60, 1, ~0u }, { 0x64, 1, 0xaf }, { 0xcfc, 4, ~0u },
		{ 0x80, 1, ~0u }, { 0x20, 2, ~0u }, { 0xa0, 2, ~0u }, { 0x40, 4, ~0u },
		{ 0x61, 1, ~0u },
	};
	uint32_t i = random() % (sizeof(ports) / sizeof(ports[0]));
	uint16_t port = ports[i].port + random() % ports[i].count;
	uint32_t written = value() & ports[i].mask;

	/* Wider ones reach the ports behind. */
	if (ports[i].count < 4 || random() % 2)
		outb(port, written);
	else if (random() % 2)
		outw(ports[i].port, written);
	else
		outl(ports[i].port, written);
	inb(port);
}

/* The entropy device, once more by the rules. */
static void use(uint32_t device)
{
	volatile uint32_t *desc = (volatile uint32_t *)RINGS;
	volatile uint16_t *avail = (volatile uint16_t *)(RINGS + 0x1000);
	volatile uint16_t *used = (volatile uint16_t *)(RINGS + 0x2000);
	uint32_t bits = 0;

	for (uint32_t at = RINGS; at < RINGS + 0x3000; at += 4)
		*(volatile uint32_t *)at = 0;
	for (uint32_t at = BUFFER; at < BUFFER + 256; at += 4)
		*(volatile uint32_t *)at = 0;
	desc[0] = BUFFER;
	desc[2] = 256;
	desc[3] = 2;	/* written by the device */
	bring_up(device, RINGS);
	if (*reg(device, STATUS) != 15)
		debug_exit(3);
	avail[1] = 1;
	*reg(device, NOTIFY) = 0;
	for (uint32_t i = 0; i < 100000 && !used[1]; i++)
		inb(POST_PORT);
	for (uint32_t at = BUFFER; at < BUFFER + 256; at += 4)
		bits |= *(volatile uint32_t *)at;
	if (used[1] != 1 || !bits)
		debug_exit(4);
}

void guest_main(const struct guest_info *info)
{
	uint32_t count = argument(info, "count", 100000), devices = argument(info, "devices", 1);

	asm volatile("cli");
	for (uint32_t i = 0; i < count; i++) {
		if (random() % 4)
			to_virtio(devices);
		else
			to_ports();
	}
	for (uint32_t device = 0; device < devices; device++) {
		*reg(device, STATUS) = 0;
		if (*reg(device, STATUS))
			debug_exit(1);
		if (*reg(device, MAGIC) != 0x74726976)
			debug_exit(2);
	}
	use(devices - 1);
	debug_exit(5);
}
