// SPDX-License-Identifier: GPL-2.0-only
#include "guest.h"

#define BOOTED_MAGIC	0x2badb002u
#define PM1_CONTROL	0x604
#define SLEEP_S5	(5u << 10 | 1u << 13)
#define GATE_INTERRUPT	0x8e00u

extern const char guest_vectors[];
void guest_start(uint32_t magic, const struct guest_info *info);
void guest_exception(struct guest_frame *frame);

static guest_handler handler;
static uint64_t idt[32];

void print(const char *text)
{
	while (*text)
		outb(SERIAL_PORT, *text++);
}

void print_number(uint32_t value)
{
	char digits[11];
	char *at = digits + sizeof(digits) - 1;

	*at = 0;
	do {
		*--at = '0' + value % 10;
		value /= 10;
	} while (value);
	print(at);
}

void power_off(void)
{
	outw(PM1_CONTROL, SLEEP_S5);
	for (;;)
		asm volatile("cli; hlt");
}

void debug_exit(uint32_t value)
{
	outl(DEBUG_EXIT_PORT, value);
	power_off();
}

/* The text behind @name at the start of a word, or NULL. */
static const char *find(const struct guest_info *info, const char *name)
{
	const char *at = info->cmdline;

	while (*at) {
		size_t i = 0;

		while (name[i] && at[i] == name[i])
			i++;
		if (!name[i])
			return at + i;
		while (*at && *at != ' ')
			at++;
		while (*at == ' ')
			at++;
	}
	return NULL;
}

bool has_word(const struct guest_info *info, const char *word)
{
	const char *rest = find(info, word);

	return rest && (!*rest || *rest == ' ');
}

uint32_t argument(const struct guest_info *info, const char *name, uint32_t otherwise)
{
	const char *at = find(info, name);
	uint32_t value = 0;

	if (!at || *at++ != '=')
		return otherwise;
	while (*at >= '0' && *at <= '9')
		value = value * 10 + (uint32_t)(*at++ - '0');
	return value;
}

void guest_exception(struct guest_frame *frame)
{
	handler(frame);
}

void guest_set_handler(guest_handler to)
{
	struct {
		uint16_t limit;
		uint32_t base;
	} __attribute__((packed)) idtr = { sizeof(idt) - 1, (uint32_t)idt };
	uint16_t cs;

	handler = to;
	asm volatile("mov %%cs, %0" : "=r"(cs));
	for (int i = 0; i < 32; i++) {
		uint32_t at = (uint32_t)guest_vectors + 16 * i;

		idt[i] = (uint64_t)((at & 0xffff0000) | GATE_INTERRUPT) << 32 |
			 (uint32_t)cs << 16 | (at & 0xffff);
	}
	asm volatile("lidt %0" : : "m"(idtr));
}

void guest_start(uint32_t magic, const struct guest_info *info)
{
	if (magic != BOOTED_MAGIC) {
		print("not booted by a multiboot loader\n");
		debug_exit(127);
	}
	guest_main(info);
	power_off();
}
