/* SPDX-License-Identifier: GPL-2.0-only */
/* Records of saved state: each chip and each group of registers has a row (vm/state.c). */
#ifndef GONDOLA_RECORD_H
#define GONDOLA_RECORD_H

#include <linux/types.h>
#include <uapi/linux/gondola_state.h>

struct gondola_vm;
struct gondola_vcpu;

/**
 * struct gondola_record_row - a kind of record
 * @type: enum gondola_record_type
 * @version: the only known layout
 * @of_vcpu: it belongs to a vCPU; else to the VM, and @vcpu is NULL
 * @bytes: length of the payload; 0: it varies
 * @size: present length; 0: nothing to save
 * @get: write the payload, which is zeroed before
 * @set: check and apply it; -EINVAL: *@bad is the offset of the refused field
 *
 * Both return -EAGAIN if guest memory is missing (vcpu->missing): repeat it later.
 */
struct gondola_record_row {
	u32 type;
	u16 version;
	bool of_vcpu;
	u32 bytes;
	u32 (*size)(struct gondola_vm *vm, struct gondola_vcpu *vcpu);
	int (*get)(struct gondola_vm *vm, struct gondola_vcpu *vcpu, void *payload, u32 bytes);
	int (*set)(struct gondola_vm *vm, struct gondola_vcpu *vcpu, const void *payload,
		   u32 bytes, u32 *bad);
};

/* The row gondola_NAME_record of NAME_get() and NAME_set(). */
#define GONDOLA_RECORD(name, TYPE, VCPU, BYTES, SIZE, GET, SET)				\
static u32 name##_record_size(struct gondola_vm *vm, struct gondola_vcpu *vcpu)		\
{											\
	return SIZE;									\
}											\
											\
static int name##_record_get(struct gondola_vm *vm, struct gondola_vcpu *vcpu,		\
			     void *payload, u32 bytes)					\
{											\
	return GET;									\
}											\
											\
static int name##_record_set(struct gondola_vm *vm, struct gondola_vcpu *vcpu,		\
			     const void *payload, u32 bytes, u32 *bad)			\
{											\
	return SET;									\
}											\
											\
const struct gondola_record_row gondola_##name##_record = {				\
	.type = GONDOLA_REC_##TYPE,							\
	.version = 1,									\
	.of_vcpu = VCPU,								\
	.bytes = BYTES,									\
	.size = name##_record_size,							\
	.get = name##_record_get,							\
	.set = name##_record_set,							\
}

/** GONDOLA_VM_RECORD() - row for a struct gondola_rec_NAME that belongs to the VM */
#define GONDOLA_VM_RECORD(name, TYPE)							\
	GONDOLA_RECORD(name, TYPE, false, sizeof(struct gondola_rec_##name),		\
		       sizeof(struct gondola_rec_##name),				\
		       name##_get(vm, payload),						\
		       name##_set(vm, payload, bad))

/** GONDOLA_VCPU_RECORD() - row for a struct gondola_rec_NAME that belongs to a vCPU */
#define GONDOLA_VCPU_RECORD(name, TYPE)							\
	GONDOLA_RECORD(name, TYPE, true, sizeof(struct gondola_rec_##name),		\
		       sizeof(struct gondola_rec_##name),				\
		       name##_get(vcpu, payload),					\
		       name##_set(vcpu, payload, bad))

/** GONDOLA_VARYING_RECORD() - row for a vCPU's array of NAME_size() bytes */
#define GONDOLA_VARYING_RECORD(name, TYPE)						\
	GONDOLA_RECORD(name, TYPE, true, 0, name##_size(vcpu),			\
		       name##_get(vcpu, payload, bytes),				\
		       name##_set(vcpu, payload, bytes, bad))

#endif
