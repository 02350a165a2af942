// SPDX-License-Identifier: GPL-2.0-only
/* Ports, IF, control and debug registers, MSRs, descriptor tables. */
#include "insn.h"

/* The field of a 32-bit or 64-bit TSS that has the offset of the I/O permission bitmap. */
#define TSS_IO_BASE	102u

static unsigned int iopl(const struct gondola_emulator *e)
{
	return (e->regs->rflags & RFL_IOPL) >> 12;
}

int emul_io_bitmap(struct gondola_emulator *e, struct gondola_segment *tss, u16 *base)
{
	*base = 0;
	e->ops->get_segment(e, GONDOLA_TR, tss);
	/* A 16-bit TSS has no bitmap. */
	if (tss->ar & GONDOLA_AR_UNUSABLE || !(tss->ar & 8) || tss->limit < TSS_IO_BASE + 1)
		return emul_gp(e);
	return e->ops->read(e, tss->base + TSS_IO_BASE, base, 2, true);
}

/* The bit of each port must be clear in the TSS's bitmap. */
static int check_io_bitmap(struct gondola_emulator *e, u16 port, unsigned int width)
{
	struct gondola_segment tss;
	u16 base, bits = 0;
	u32 byte;
	int r = emul_io_bitmap(e, &tss, &base);

	if (r)
		return r;
	byte = base + port / 8;
	if (byte + 1 > tss.limit)
		return emul_gp(e);
	r = e->ops->read(e, tss.base + byte, &bits, 2, true);
	if (r)
		return r;
	return bits >> (port & 7) & ((1u << width) - 1) ? emul_gp(e) : GONDOLA_EMUL_OK;
}

int emul_check_io(struct gondola_emulator *e, u16 port, unsigned int width)
{
	if (e->mode == GONDOLA_EMUL_REAL ||
	    (e->mode != GONDOLA_EMUL_VM86 && e->cpl <= iopl(e)))
		return GONDOLA_EMUL_OK;
	return check_io_bitmap(e, port, width);
}

static int port_access(struct gondola_emulator *e, u16 port, struct gondola_operand *op, bool in)
{
	unsigned int done = 0, width = op->bytes > 4 ? 4 : op->bytes;
	u32 value = op->value;
	int r;

	r = emul_check_io(e, port, width);
	if (r)
		return r;
	if (in)
		value = 0;
	r = e->ops->io(e, port, width, in, &value, 1, &done);
	if (r)
		return r;
	if (!done)
		return GONDOLA_EMUL_ERROR;
	op->bytes = width;
	op->value = value;
	return GONDOLA_EMUL_OK;
}

int emul_op_in(struct gondola_emulator *e)
{
	return port_access(e, e->src.value, &e->dst, true);
}

int emul_op_out(struct gondola_emulator *e)
{
	return port_access(e, e->dst.value, &e->src, false);
}

static bool may_change_if(const struct gondola_emulator *e)
{
	return e->cpl <= iopl(e);
}

int emul_op_cli(struct gondola_emulator *e)
{
	if (!may_change_if(e))
		return emul_has_vif(e) ? emul_set_vif(e, 0) : emul_gp(e);
	e->rflags &= ~RFL_IF;
	return GONDOLA_EMUL_OK;
}

int emul_op_sti(struct gondola_emulator *e)
{
	if (!may_change_if(e))
		return emul_has_vif(e) ? emul_set_vif(e, RFL_IF) : emul_gp(e);
	if (!(e->rflags & RFL_IF))
		e->shadow = 1;
	e->rflags |= RFL_IF;
	return GONDOLA_EMUL_OK;
}

int emul_op_hlt(struct gondola_emulator *e)
{
	return e->ops->hlt(e);
}

/* INVD too: the guest cannot tell that the contents are written back. */
int emul_op_wbinvd(struct gondola_emulator *e)
{
	return e->ops->wbinvd(e);
}

int emul_op_clts(struct gondola_emulator *e)
{
	return e->ops->set_cr(e, 0, e->ops->get_cr(e, 0) & ~CR0_TS);
}

int emul_op_cpuid(struct gondola_emulator *e)
{
	u64 *gpr = e->regs->gpr;
	u32 a = gpr[R_RAX], b = gpr[R_RBX], c = gpr[R_RCX], d = gpr[R_RDX];
	int r;

	r = e->ops->cpuid(e, &a, &b, &c, &d);
	if (r)
		return r;
	gpr[R_RAX] = a;
	gpr[R_RBX] = b;
	gpr[R_RCX] = c;
	gpr[R_RDX] = d;
	return GONDOLA_EMUL_OK;
}

static int read_msr(struct gondola_emulator *e, u32 index)
{
	u64 value;
	int r = e->ops->get_msr(e, index, &value);

	if (r)
		return r;
	e->regs->gpr[R_RAX] = (u32)value;
	e->regs->gpr[R_RDX] = value >> 32;
	return GONDOLA_EMUL_OK;
}

int emul_op_rdmsr(struct gondola_emulator *e)
{
	return read_msr(e, e->regs->gpr[R_RCX]);
}

int emul_op_wrmsr(struct gondola_emulator *e)
{
	u64 *gpr = e->regs->gpr;

	return e->ops->set_msr(e, gpr[R_RCX], (u32)gpr[R_RAX] | gpr[R_RDX] << 32);
}

int emul_op_rdtsc(struct gondola_emulator *e)
{
	if (e->cpl && e->ops->get_cr(e, 4) & CR4_TSD)
		return emul_gp(e);
	return read_msr(e, MSRX_TSC);
}

int emul_op_rdtscp(struct gondola_emulator *e)
{
	u64 aux;
	int r;

	r = e->ops->get_msr(e, MSRX_TSC_AUX, &aux);
	if (!r)
		r = emul_op_rdtsc(e);
	if (!r)
		e->regs->gpr[R_RCX] = (u32)aux;
	return r;
}

int emul_op_rdpid(struct gondola_emulator *e)
{
	return e->ops->get_msr(e, MSRX_TSC_AUX, &e->dst.value);
}

/* AMD's counters are MSRs as well; a guest with another processor has none. */
int emul_op_rdpmc(struct gondola_emulator *e)
{
	u32 index = e->regs->gpr[R_RCX];

	if (index >= AMD_COUNTERS || (e->cpl && !(e->ops->get_cr(e, 4) & CR4_PCE)))
		return emul_gp(e);
	return read_msr(e, MSRX_AMD_PERF_CTR + index);
}

static bool has_cr(unsigned int cr)
{
	return cr <= 8 && BIT(cr) & (BIT(0) | BIT(2) | BIT(3) | BIT(4) | BIT(8));
}

int emul_op_read_cr(struct gondola_emulator *e)
{
	if (!has_cr(e->src.reg))
		return emul_fault(e, VEC_UD);
	e->dst.value = e->ops->get_cr(e, e->src.reg);
	return GONDOLA_EMUL_OK;
}

int emul_op_write_cr(struct gondola_emulator *e)
{
	if (!has_cr(e->dst.reg))
		return emul_fault(e, VEC_UD);
	return e->ops->set_cr(e, e->dst.reg, e->src.value);
}

/* DR4 and DR5 are aliases of DR6 and DR7, unless CR4.DE forbids them. */
static int debug_register(struct gondola_emulator *e, unsigned int *dr)
{
	if (*dr > 7)
		return emul_fault(e, VEC_UD);
	if (*dr == 4 || *dr == 5) {
		if (e->ops->get_cr(e, 4) & CR4_DE)
			return emul_fault(e, VEC_UD);
		*dr += 2;
	}
	return GONDOLA_EMUL_OK;
}

int emul_op_read_dr(struct gondola_emulator *e)
{
	unsigned int dr = e->src.reg;
	int r = debug_register(e, &dr);

	return r ? r : e->ops->get_dr(e, dr, &e->dst.value);
}

int emul_op_write_dr(struct gondola_emulator *e)
{
	unsigned int dr = e->dst.reg;
	int r = debug_register(e, &dr);

	return r ? r : e->ops->set_dr(e, dr, e->src.value);
}

int emul_op_smsw(struct gondola_emulator *e)
{
	e->dst.value = e->ops->get_cr(e, 0);
	return GONDOLA_EMUL_OK;
}

/* LMSW writes PE, MP, EM and TS; it can set PE but not clear it. */
int emul_op_lmsw(struct gondola_emulator *e)
{
	const u64 low = CR0_PE | CR0_MP | CR0_EM | CR0_TS;
	u64 cr0 = e->ops->get_cr(e, 0);

	return e->ops->set_cr(e, 0, (cr0 & ~(low & ~CR0_PE)) | (e->src.value & low));
}

int emul_op_invlpg(struct gondola_emulator *e)
{
	gva_t la = e->ea;

	if (!emul_long64(e) || e->insn->seg >= GONDOLA_FS) {
		struct gondola_segment s;

		e->ops->get_segment(e, e->insn->seg, &s);
		la += s.base;
		if (!emul_long64(e))
			la = (u32)la;
	}
	/* An address that is not canonical has nothing cached. */
	return emul_canonical(la) ? e->ops->invlpg(e, la) : GONDOLA_EMUL_OK;
}

int emul_op_swapgs(struct gondola_emulator *e)
{
	u64 gs, kernel;
	int r;

	r = e->ops->get_msr(e, MSRX_GS_BASE, &gs);
	if (r)
		return r;
	r = e->ops->get_msr(e, MSRX_KERNEL_GS_BASE, &kernel);
	if (r)
		return r;
	r = e->ops->set_msr(e, MSRX_GS_BASE, kernel);
	return r ? r : e->ops->set_msr(e, MSRX_KERNEL_GS_BASE, gs);
}

int emul_op_invpcid(struct gondola_emulator *e)
{
	u64 descriptor[2];
	gva_t la;
	int r;

	if (!e->ops->invpcid)
		return emul_fault(e, VEC_UD);
	r = emul_linear(e, e->insn->seg, e->ea, 16, false, &la);
	if (!r)
		r = e->ops->read(e, la, descriptor, 16, false);
	if (r)
		return r;
	if (e->dst.value > 3 || descriptor[0] >> 12)
		return emul_gp(e);
	return e->ops->invpcid(e, e->dst.value, descriptor[0], descriptor[1]);
}

/* RDFSBASE, RDGSBASE, WRFSBASE, WRGSBASE: ModRM.reg 0 … 3 */
int emul_op_base(struct gondola_emulator *e)
{
	unsigned int op = e->insn->modrm >> 3 & 7;
	u32 msr = op & 1 ? MSRX_GS_BASE : MSRX_FS_BASE;

	if (!(e->ops->get_cr(e, 4) & CR4_FSGSBASE))
		return emul_fault(e, VEC_UD);
	if (op < 2)
		return e->ops->get_msr(e, msr, &e->dst.value);
	return e->ops->set_msr(e, msr, e->dst.value);
}

/* CLAC and STAC: ca and cb.  By the manual they raise #UD where they are not allowed. */
int emul_op_ac(struct gondola_emulator *e)
{
	if (e->cpl)
		return emul_fault(e, VEC_UD);
	if (e->insn->modrm == 0xcb)
		e->rflags |= RFL_AC;
	else
		e->rflags &= ~RFL_AC;
	return GONDOLA_EMUL_OK;
}

int emul_op_hypercall(struct gondola_emulator *e)
{
	return e->ops->hypercall ? e->ops->hypercall(e) : emul_fault(e, VEC_UD);
}

/* SGDT, SIDT, LGDT, LIDT: a limit of 2 bytes, then the base: 8 bytes in 64-bit mode, else 4. */
static int dtable_address(struct gondola_emulator *e, bool write, unsigned int *bytes, gva_t *la)
{
	*bytes = emul_long64(e) ? 10 : 6;
	return emul_linear(e, e->insn->seg, e->ea, *bytes, write, la);
}

/* ModRM.reg: 0 and 2 are the GDT's, 1 and 3 the IDT's. */
static bool is_idt(const struct gondola_emulator *e)
{
	return e->insn->modrm >> 3 & 1;
}

int emul_op_store_dtable(struct gondola_emulator *e)
{
	struct gondola_dtable table;
	unsigned int bytes;
	u8 image[10];
	gva_t la;
	int r;

	r = dtable_address(e, true, &bytes, &la);
	if (r)
		return r;
	e->ops->get_dtable(e, is_idt(e), &table);
	memcpy(image, &table.limit, 2);
	memcpy(image + 2, &table.base, 8);
	return e->ops->write(e, la, image, bytes, false);
}

int emul_op_load_dtable(struct gondola_emulator *e)
{
	struct gondola_dtable table = { 0 };
	unsigned int bytes;
	u8 image[10];
	gva_t la;
	int r;

	r = dtable_address(e, false, &bytes, &la);
	if (r)
		return r;
	r = e->ops->read(e, la, image, bytes, false);
	if (r)
		return r;
	memcpy(&table.limit, image, 2);
	memcpy(&table.base, image + 2, bytes - 2);
	if (e->insn->op_bytes == 2 && !emul_long64(e))
		table.base &= 0xffffff;
	if (!emul_canonical(table.base))
		return emul_gp(e);
	e->ops->set_dtable(e, is_idt(e), &table);
	return GONDOLA_EMUL_OK;
}

/* SLDT, STR, LLDT, LTR: the row says which register. */
int emul_op_store_sysseg(struct gondola_emulator *e)
{
	struct gondola_segment s;

	e->ops->get_segment(e, e->insn->desc->arg, &s);
	e->dst.value = s.selector;
	return GONDOLA_EMUL_OK;
}

int emul_op_load_sysseg(struct gondola_emulator *e)
{
	return emul_load_segment(e, e->insn->desc->arg, e->src.value);
}

/* The types of system descriptors, a bit each, that LAR and LSL accept, in and out of long mode. */
#define LAR_TYPES	0x1a36u		/* TSS, LDT, call and task gates */
#define LSL_TYPES	0x0a0eu		/* TSS, LDT */
#define LAR_TYPES_LONG	0x1a04u
#define LSL_TYPES_LONG	0x0a04u

static int visible(struct gondola_emulator *e, const struct gondola_segment *s, bool limit,
		   bool *yes)
{
	unsigned int dpl = (s->ar & GONDOLA_AR_DPL) >> GONDOLA_AR_DPL_SHIFT;
	unsigned int rpl = e->src.value & 3;
	bool wide;
	u32 types;
	int r;

	r = emul_long_mode_active(e, &wide);
	if (wide)
		types = limit ? LSL_TYPES_LONG : LAR_TYPES_LONG;
	else
		types = limit ? LSL_TYPES : LAR_TYPES;
	*yes = s->ar & GONDOLA_AR_S || types >> (s->ar & GONDOLA_AR_TYPE) & 1;
	/* Conforming code is visible to all. */
	if ((s->ar & (GONDOLA_AR_S | 0xc)) != (GONDOLA_AR_S | 0xc))
		*yes &= dpl >= e->cpl && dpl >= rpl;
	return r;
}

/* LAR and LSL: 02 and 03 */
int emul_op_look_up(struct gondola_emulator *e)
{
	bool limit = e->insn->opcode == 3, found;
	struct gondola_segment s;
	int r;

	r = emul_look_up(e, e->src.value, &s, &found);
	if (!r && found)
		r = visible(e, &s, limit, &found);
	if (r)
		return r;
	if (!found) {
		e->rflags &= ~RFL_ZF;
		e->writeback &= ~D_WRITE;
		return GONDOLA_EMUL_OK;
	}
	e->rflags |= RFL_ZF;
	/* LAR gives the upper word of the descriptor, without base and limit. */
	e->dst.value = limit ? s.limit : s.ar << 8;
	return GONDOLA_EMUL_OK;
}

/* VERR and VERW: ModRM.reg 4 and 5 */
int emul_op_verify(struct gondola_emulator *e)
{
	bool write = e->insn->modrm >> 3 & 1, found;
	struct gondola_segment s;
	int r;

	r = emul_look_up(e, e->src.value, &s, &found);
	if (!r && found)
		r = visible(e, &s, false, &found);
	if (r)
		return r;
	found = found && s.ar & GONDOLA_AR_S;
	if (found && s.ar & 8)
		found = !write && s.ar & 2;
	else if (found && write)
		found = s.ar & 2;
	e->rflags = found ? e->rflags | RFL_ZF : e->rflags & ~RFL_ZF;
	return GONDOLA_EMUL_OK;
}
