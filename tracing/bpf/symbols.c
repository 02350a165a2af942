// SPDX-License-Identifier: GPL-2.0-only
/* Names for the guest's addresses. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tool.h"

#define FAR	0x100000	/* further behind a symbol than this is not in it */

struct symbol {
	uint64_t address;
	char *name;
};

static struct symbol *symbols;
static size_t nr_symbols;

static int by_address(const void *left, const void *right)
{
	const struct symbol *a = left, *b = right;

	return a->address < b->address ? -1 : a->address > b->address;
}

static void add(uint64_t address, const char *name)
{
	static size_t room;

	if (nr_symbols == room) {
		room = room ? room * 2 : 4096;
		symbols = realloc(symbols, room * sizeof(*symbols));
		if (!symbols)
			die(TOOL_FAILED, "out of memory");
	}
	symbols[nr_symbols].address = address;
	symbols[nr_symbols].name = strdup(name);
	if (!symbols[nr_symbols++].name)
		die(TOOL_FAILED, "out of memory");
}

void symbols_load(const char *path)
{
	unsigned long long address;
	char line[512], name[256], type;
	FILE *file = fopen(path, "re");

	if (!file)
		die(TOOL_USAGE, "--symbols %s: %s", path, strerror(errno));
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "%llx %c %255s", &address, &type, name) == 3 &&
		    strchr("tTwW", type) && address)
			add(address, name);
	fclose(file);
	if (!nr_symbols)
		die(TOOL_USAGE, "--symbols %s: no line like \"ffffffff81000000 T _text\" in it", path);
	qsort(symbols, nr_symbols, sizeof(*symbols), by_address);
}

const char *symbol_of(uint64_t address)
{
	static char text[300];
	size_t low = 0, high = nr_symbols;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (symbols[middle].address <= address)
			low = middle + 1;
		else
			high = middle;
	}
	if (!low || address - symbols[low - 1].address >= FAR)
		return "";
	snprintf(text, sizeof(text), "%s+0x%llx", symbols[low - 1].name,
		 (unsigned long long)(address - symbols[low - 1].address));
	return text;
}
