// SPDX-License-Identifier: GPL-2.0-only
/* Ports, for emulated instructions and for IN and OUT that left the guest. */
#include <linux/kernel.h>
#include <linux/minmax.h>
#include <linux/string.h>
#include "internal.h"
#include "assist.h"
#include "irq/irq.h"

static void fill_io(struct gondola_run *run, u16 port, u8 width, bool in, u32 count)
{
	run->io.port = port;
	run->io.width = width;
	run->io.write = !in;
	run->io.count = count;
	run->io.offset = GONDOLA_RUN_IO_OFFSET;
	run->io.pad = 0;
}

static u8 *io_data(struct gondola_run *run)
{
	return (u8 *)run + GONDOLA_RUN_IO_OFFSET;
}

static bool chip_io(struct gondola_vcpu *vcpu, u16 port, unsigned int width, bool in, void *buf,
		    unsigned int count)
{
	unsigned int i;
	u32 value;

	for (i = 0; i < count; i++, buf += width) {
		value = 0;
		if (!in)
			memcpy(&value, buf, width);
		if (!gondola_irq_pio(vcpu, port, width, !in, &value))
			return false;	/* as the first item did, or none */
		if (in)
			memcpy(buf, &value, width);
	}
	return true;
}

int assist_io(struct gondola_emulator *e, u16 port, unsigned int width, bool in, void *buf,
	      unsigned int count, unsigned int *done)
{
	struct assist *ip = to_assist(e);
	struct gondola_run *run = ip->vcpu->run;

	if (in && ip->in.answered && ip->in.port == port && ip->in.width == width) {
		*done = min(count, ip->in.count - ip->in.taken);
		memcpy(buf, ip->in.data + ip->in.taken * width, *done * width);
		ip->in.taken += *done;
		ip->in.answered = ip->in.taken < ip->in.count;
		return GONDOLA_EMUL_OK;
	}
	if (chip_io(ip->vcpu, port, width, in, buf, count)) {
		*done = count;
		return GONDOLA_EMUL_OK;
	}
	if (ip->nr_writes || ip->pending)
		return GONDOLA_EMUL_USER;
	count = min_t(unsigned int, count, ASSIST_IO_ROOM / width);
	fill_io(run, port, width, in, count);
	if (in) {
		ip->in.port = port;
		ip->in.width = width;
		ip->in.count = count;
		return assist_ask(ip, ASSIST_PENDING_STRING_IN, GONDOLA_EXIT_IO);
	}
	memcpy(io_data(run), buf, count * width);
	*done = count;
	assist_ask(ip, ASSIST_PENDING_LEAVE, GONDOLA_EXIT_IO);
	return GONDOLA_EMUL_OK;
}

int assist_user_pio(struct gondola_vcpu *vcpu, u16 port, unsigned int width, bool in,
		    unsigned int insn_len)
{
	struct assist *ip = to_assist(vcpu->emulator);
	u32 value = (u32)vcpu->regs.gpr[R_RAX];

	fill_io(vcpu->run, port, width, in, 1);
	if (in) {
		ip->in.width = width;
		ip->in.insn_len = insn_len;
		assist_ask(ip, ASSIST_PENDING_IN, GONDOLA_EXIT_IO);
		return RUN_LEAVE;
	}
	memcpy(io_data(vcpu->run), &value, width);
	vcpu->run->exit = GONDOLA_EXIT_IO;
	run_skip(vcpu, insn_len);
	return RUN_LEAVE;
}

int assist_complete_in(struct assist *in)
{
	u32 value = 0;

	memcpy(&value, io_data(in->vcpu->run), in->in.width);
	run_set_rax(in->vcpu, in->in.width, value);
	run_skip(in->vcpu, in->in.insn_len);
	return RUN_REENTER;
}

void assist_take_items(struct assist *in)
{
	memcpy(in->in.data, io_data(in->vcpu->run), in->in.count * in->in.width);
	in->in.taken = 0;
	in->in.answered = true;
}
