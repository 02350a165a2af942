// SPDX-License-Identifier: GPL-2.0-only
/* Reads the BPF program's tables, sorted. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <bpf/bpf.h>

#include "dirty-read.h"
#include "tool.h"

#define BATCH	1024

/**
 * struct table - how the entries of a table are read
 * @vm_at: where in a key the VM's id is
 * @bytes: of the structure that holds key and value, and where the value is in it
 */
struct table {
	int map;
	size_t vm_at, key_bytes, value_bytes, value_at, bytes;
};

static void *add(char *all, size_t *count, const struct table *table, const char *key,
		 const char *value)
{
	/* Twice the room whenever the count is a power of two. */
	if (!(*count & (*count - 1))) {
		all = realloc(all, (*count ? *count * 2 : 1) * table->bytes);
		if (!all)
			die(TOOL_FAILED, "out of memory");
	}
	memset(all + *count * table->bytes, 0, table->bytes);
	memcpy(all + *count * table->bytes, key, table->key_bytes);
	memcpy(all + *count * table->bytes + table->value_at, value, table->value_bytes);
	++*count;
	return all;
}

/* All entries of VM @id. */
static void *read_table(const struct table *table, uint32_t id, size_t *count)
{
	static char keys[BATCH * 32], values[BATCH * 64];
	uint64_t position[4];
	bool first = true;
	char *all = NULL;
	int err;

	*count = 0;
	do {
		uint32_t got = BATCH;

		err = bpf_map_lookup_batch(table->map, first ? NULL : position, position, keys,
					   values, &got, NULL);
		first = false;
		/* ENOENT: these were the last. */
		if (err && err != -ENOENT)
			die(TOOL_FAILED, "cannot read a table: %s", strerror(-err));
		for (uint32_t i = 0; i < got; i++) {
			const char *key = keys + i * table->key_bytes;

			if (!memcmp(key + table->vm_at, &id, sizeof(id)))
				all = add(all, count, table, key, values + i * table->value_bytes);
		}
	} while (!err);
	return all;
}

static int by_rounds(const void *left, const void *right)
{
	const struct dirty_page *a = left, *b = right;

	if (a->count.count != b->count.count)
		return a->count.count < b->count.count ? 1 : -1;
	return a->key.gfn < b->key.gfn ? -1 : 1;
}

static uint64_t began(const struct round_count *count)
{
	return count->marked_ns ?: count->first_ns;
}

static int by_time(const void *left, const void *right)
{
	const struct dirty_round *a = left, *b = right;
	uint64_t x = began(&a->count), y = began(&b->count);

	return x < y ? -1 : x > y;
}

static int by_writes(const void *left, const void *right)
{
	const struct dirty_writer *a = left, *b = right;

	if (a->count != b->count)
		return a->count < b->count ? 1 : -1;
	return a->key.rip < b->key.rip ? -1 : 1;
}

static int by_source(const void *left, const void *right)
{
	const struct dirty_source *a = left, *b = right;

	if (a->key.source != b->key.source)
		return (int)a->key.source - (int)b->key.source;
	if (a->key.vcpu != b->key.vcpu)
		return a->key.vcpu < b->key.vcpu ? -1 : 1;
	return strncmp(a->key.device, b->key.device, sizeof(a->key.device));
}

static int by_column(const void *left, const void *right)
{
	const struct dirty_heat *a = left, *b = right;

	return a->key.column < b->key.column ? -1 : a->key.column > b->key.column;
}

#define READ(vm_, what, map_, order) do {						\
	struct table table_ = {								\
		.map = (map_),								\
		.vm_at = offsetof(__typeof__((vm_)->what->key), vm),			\
		.key_bytes = sizeof((vm_)->what->key),					\
		.value_bytes = sizeof((vm_)->what->count),				\
		.value_at = offsetof(__typeof__(*(vm_)->what), count),			\
		.bytes = sizeof(*(vm_)->what),						\
	};										\
											\
	(vm_)->what = read_table(&table_, (vm_)->id, &(vm_)->nr_##what);		\
	if ((vm_)->nr_##what)								\
		qsort((vm_)->what, (vm_)->nr_##what, table_.bytes, order);		\
} while (0)

/*
 * The program sees a new round by its first event.  The launcher may have marked
 * one since, in which nothing was dirtied yet: then the one before is whole.
 */
static void count_empty_rounds(struct dirty_vm *vm)
{
	const struct round_key *last;

	if (!vm->nr_rounds || !vm->count.epoch)
		return;
	last = &vm->rounds[vm->nr_rounds - 1].key;
	if (last->phase != vm->count.phase)
		vm->count.epoch++;
	else if (last->round > vm->count.round)
		vm->count.epoch += last->round - vm->count.round;
}

void dirty_read(const struct dirty_maps *maps, uint32_t id, struct dirty_vm *vm)
{
	memset(vm, 0, sizeof(*vm));
	vm->id = id;
	if (bpf_map_lookup_elem(maps->vms, &id, &vm->count))
		memset(&vm->count, 0, sizeof(vm->count));
	READ(vm, pages, maps->pages, by_rounds);
	READ(vm, rounds, maps->rounds, by_time);
	count_empty_rounds(vm);
	READ(vm, writers, maps->writers, by_writes);
	READ(vm, sources, maps->sources, by_source);
	READ(vm, heat, maps->heat, by_column);
}
