/* SPDX-License-Identifier: GPL-2.0-only */
/* Shared by the tiny guests. Each has a guest_main(); returning from it powers off. */
#ifndef GUEST_H
#define GUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SERIAL_PORT	0x3f8
#define DEBUG_EXIT_PORT	0xf4
#define POST_PORT	0x80
#define NOBODY_PORT	0x5000		/* no device answers here */

/** struct guest_module - as the boot loader gives it */
struct guest_module {
	uint32_t start;
	uint32_t end;
	const char *string;
	uint32_t reserved;
};

/** struct guest_info - multiboot information, the part that is used here */
struct guest_info {
	uint32_t flags;
	uint32_t mem_lower;
	uint32_t mem_upper;
	uint32_t boot_device;
	const char *cmdline;
	uint32_t nr_modules;
	const struct guest_module *modules;
};

/** struct guest_frame - the stack of an exception handler */
struct guest_frame {
	uint32_t edi, esi, ebp, esp, ebx, edx, ecx, eax;
	uint32_t vector, error;
	uint32_t eip, cs, eflags;
};

void guest_main(const struct guest_info *info);
typedef void (*guest_handler)(struct guest_frame *frame);
/** guest_set_handler() - for exceptions from now on; it may change the frame's eip */
void guest_set_handler(guest_handler handler);

void print(const char *text);
void print_number(uint32_t value);
/** argument() - value of "name=NUMBER" on the command line, else @otherwise */
uint32_t argument(const struct guest_info *info, const char *name, uint32_t otherwise);
/** has_word() - is @word one of the command line's? */
bool has_word(const struct guest_info *info, const char *word);

__attribute__((noreturn)) void power_off(void);
/** debug_exit() - end the launcher with status (value << 1) | 1 */
__attribute__((noreturn)) void debug_exit(uint32_t value);

static inline void outb(uint16_t port, uint8_t value)
{
	asm volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static inline void outw(uint16_t port, uint16_t value)
{
	asm volatile("outw %0, %1" : : "a"(value), "Nd"(port));
}

static inline void outl(uint16_t port, uint32_t value)
{
	asm volatile("outl %0, %1" : : "a"(value), "Nd"(port));
}

static inline uint8_t inb(uint16_t port)
{
	uint8_t value;

	asm volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

static inline uint16_t inw(uint16_t port)
{
	uint16_t value;

	asm volatile("inw %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

static inline uint32_t inl(uint16_t port)
{
	uint32_t value;

	asm volatile("inl %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

#endif
