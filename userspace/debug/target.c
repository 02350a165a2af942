// SPDX-License-Identifier: GPL-2.0-only
#include <stdlib.h>
#include <string.h>

#include "target.h"
#include "inspect/walk.h"
#include "vm/vm.h"

#define STATE_MAX	65536
/* The XSAVE area ("Legacy Region", "XSAVE Header"). */
#define FX_MXCSR	24
#define FX_ST		32
#define FX_XMM		160
#define FX_XMM_END	416
#define YMM		576
#define XSTATE_BV	512
#define XSTATE_X87	1u
#define XSTATE_SSE	2u
#define XSTATE_AVX	4u
#define CPUID_AVX	(1u << 28)	/* of leaf 1, ECX */
#define FCW_INITIAL	0x37fu
#define EFER_LMA	(1ull << 10)
#define PAGE		4096u

/* AVX's component is always behind the header; a shorter record belongs to a vCPU without it. */
static bool get_ymm(const char *buffer, size_t used, uint64_t present, uint8_t ymm[REGISTERS_YMM_BYTES])
{
	const char *area = gondola_find_record(buffer, used, GONDOLA_REC_FPU, YMM + REGISTERS_YMM_BYTES);

	memset(ymm, 0, REGISTERS_YMM_BYTES);
	if (area && present & XSTATE_AVX)
		memcpy(ymm, area + YMM, REGISTERS_YMM_BYTES);
	return area;
}

/*
 * The FPU's record is as long as the vCPU's XSAVE area, whose legacy part and header come first.  A
 * component that the header does not name is in its initial state, whatever the area has.
 */
static bool get_fpu(const char *buffer, size_t used, struct registers *registers)
{
	const char *area = gondola_find_record(buffer, used, GONDOLA_REC_FPU,
					       XSTATE_BV + sizeof(uint64_t));
	uint8_t *fx = registers->fx;
	uint64_t present;

	if (!area)
		return false;
	memcpy(fx, area, REGISTERS_FX_BYTES);
	memcpy(&present, area + XSTATE_BV, sizeof(present));
	if (!(present & XSTATE_X87)) {
		memset(fx, 0, FX_MXCSR);
		memset(fx + FX_ST, 0, FX_XMM - FX_ST);
		fx[0] = FCW_INITIAL & 0xff;
		fx[1] = FCW_INITIAL >> 8;
	}
	if (!(present & XSTATE_SSE))
		memset(fx + FX_XMM, 0, FX_XMM_END - FX_XMM);
	registers->shape.avx &= get_ymm(buffer, used, present, registers->ymm);
	registers->fx_taken = registers->ymm_taken = false;
	return true;
}

/* Puts the written bytes into @area, the part of the record that is there. */
static bool put_fpu(char *area, uint32_t bytes, const struct registers *registers)
{
	uint64_t present;

	if (registers->ymm_taken && bytes < YMM + REGISTERS_YMM_BYTES)
		return false;
	memcpy(&present, area + XSTATE_BV, sizeof(present));
	if (registers->fx_taken) {
		memcpy(area, registers->fx, FX_XMM_END);
		present |= XSTATE_X87 | XSTATE_SSE;
	}
	if (registers->ymm_taken) {
		memcpy(area + YMM, registers->ymm, REGISTERS_YMM_BYTES);
		present |= XSTATE_AVX;
	}
	memcpy(area + XSTATE_BV, &present, sizeof(present));
	return true;
}

static bool set_fpu(int vcpu, const struct registers *registers)
{
	uint64_t used = STATE_MAX;
	char *buffer = malloc(2 * STATE_MAX), *copy = buffer + STATE_MAX;
	struct gondola_record header;
	const char *area = NULL;
	bool done = false;

	if (!buffer)
		return false;
	if (!__gondola_get_state(vcpu, buffer, &used))
		area = gondola_find_record(buffer, used, GONDOLA_REC_FPU,
					   XSTATE_BV + sizeof(uint64_t));
	if (area) {
		memcpy(&header, area - sizeof(header), sizeof(header));
		used = gondola_put_record(copy, STATE_MAX, 0, GONDOLA_REC_FPU, area, header.bytes);
		area = gondola_find_record(copy, used, GONDOLA_REC_FPU, header.bytes);
	}
	if (area)
		done = put_fpu((char *)area, header.bytes, registers) &&
		       !__gondola_set_state(vcpu, copy, used, NULL);
	free(buffer);
	return done;
}

static bool has_avx(const struct vm *vm)
{
	for (uint32_t i = 0; i < vm->nr_cpuid; i++)
		if (vm->cpuid[i].function == 1)
			return vm->cpuid[i].ecx & CPUID_AVX;
	return false;
}

bool target_get(const struct vm *vm, unsigned int vcpu, struct registers *registers)
{
	const void *regs, *sregs;
	uint64_t used = STATE_MAX;
	char *buffer = malloc(STATE_MAX);
	bool found = false;

	if (!buffer)
		return false;
	registers->shape.avx = has_avx(vm);
	if (!__gondola_get_state(vm->vcpus[vcpu].fd, buffer, &used)) {
		regs = gondola_find_record(buffer, used, GONDOLA_REC_REGS, sizeof(registers->regs));
		sregs = gondola_find_record(buffer, used, GONDOLA_REC_SREGS,
					    sizeof(registers->sregs));
		found = regs && sregs && get_fpu(buffer, used, registers);
		if (found) {
			memcpy(&registers->regs, regs, sizeof(registers->regs));
			memcpy(&registers->sregs, sregs, sizeof(registers->sregs));
			registers->shape.long_mode = target_is_long(registers);
		}
	}
	free(buffer);
	return found;
}

bool target_is_long(const struct registers *registers)
{
	return registers->sregs.efer & EFER_LMA;
}

bool target_set(const struct vm *vm, unsigned int vcpu, const struct registers *registers)
{
	struct gondola_fault fault;

	if ((registers->fx_taken || registers->ymm_taken) &&
	    !set_fpu(vm->vcpus[vcpu].fd, registers))
		return false;
	return !__gondola_set_registers(vm->vcpus[vcpu].fd, &registers->regs, &registers->sregs,
					&fault);
}

/* The kernel is found from within its programs, too. */
static bool translate(const struct vm *vm, const struct gondola_rec_sregs *sregs, uint64_t address,
		      uint64_t *gpa)
{
	struct gondola_rec_sregs kernel = *sregs;
	struct walk_cpu cpu;
	struct walk walk;

	walk_find_cpu(vm->cpuid, vm->nr_cpuid, &cpu);
	walk_tables(&vm->memory, sregs, &cpu, address, &walk);
	if (walk.result != WALK_MAPPED && address >> 63 && walk_kernel_tables(&vm->memory, &kernel))
		walk_tables(&vm->memory, &kernel, &cpu, address, &walk);
	*gpa = walk.gpa;
	return walk.result == WALK_MAPPED;
}

/*
 * Find the byte at @address, and the number of bytes to the end of its page; NULL if there is none.
 * Without @sregs the address is physical.
 */
static uint8_t *at(const struct vm *vm, const struct gondola_rec_sregs *sregs, uint64_t address,
		   uint64_t *gpa, size_t *bytes)
{
	*gpa = address;
	if (sregs && !translate(vm, sregs, address, gpa))
		return NULL;
	if (*bytes > PAGE - *gpa % PAGE)
		*bytes = PAGE - *gpa % PAGE;
	return memory_at(&vm->memory, *gpa, *bytes);
}

static bool get_sregs(const struct vm *vm, unsigned int vcpu, struct gondola_rec_sregs *sregs)
{
	struct gondola_rec_regs regs;

	return !__gondola_get_registers(vm->vcpus[vcpu].fd, &regs, sregs);
}

size_t target_read(const struct vm *vm, int space, uint64_t address, void *to,
		   size_t bytes)
{
	struct gondola_rec_sregs sregs;
	size_t done = 0;

	if (space >= 0 && !get_sregs(vm, (unsigned int)space, &sregs))
		return 0;
	while (done < bytes) {
		size_t part = bytes - done;
		uint64_t gpa;
		const uint8_t *from = at(vm, space < 0 ? NULL : &sregs, address + done, &gpa, &part);

		if (!from)
			break;
		memcpy((char *)to + done, from, part);
		done += part;
	}
	return done;
}

bool target_write(struct vm *vm, int space, uint64_t address, const void *from,
		  size_t bytes)
{
	struct gondola_rec_sregs sregs;

	if (space >= 0 && !get_sregs(vm, (unsigned int)space, &sregs))
		return false;
	/* First check that all of it exists, then write. */
	for (int writing = 0; writing < 2; writing++) {
		for (size_t done = 0, part; done < bytes; done += part) {
			uint64_t gpa;
			uint8_t *to;

			part = bytes - done;
			to = at(vm, space < 0 ? NULL : &sregs, address + done, &gpa, &part);
			if (!to)
				return false;
			if (!writing)
				continue;
			memcpy(to, (const char *)from + done, part);
			memory_mark_dirty(&vm->memory, 0, gpa, part);
		}
	}
	return true;
}

bool target_translate(const struct vm *vm, unsigned int vcpu, uint64_t address, uint64_t *gpa)
{
	struct gondola_rec_sregs sregs;
	size_t one = 1;

	return get_sregs(vm, vcpu, &sregs) && at(vm, &sregs, address, gpa, &one);
}
