// SPDX-License-Identifier: GPL-2.0-only
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "same_file.h"

#define FILES_MAX	(BOOT_MAX_MODULES + VIRTIO_MAX_DEVICES + 9)

/* A file's use.  Two outputs may be one, as those of two programs. */
enum use { READ, DISK, SHARED_DISK, OUTPUT };

struct file {
	const char *option;
	enum use use;
	struct stat st;
};

struct files {
	struct file file[FILES_MAX];
	unsigned int count;
	bool good;
	struct error *error;
};

static bool is_same(const struct stat *a, const struct stat *b)
{
	if (S_ISBLK(a->st_mode) && S_ISBLK(b->st_mode))
		return a->st_rdev == b->st_rdev;
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

static bool may_share(enum use a, enum use b)
{
	return a == b && a != DISK;
}

/* A file that is not there yet, a pipe and a terminal cannot be lost. */
static void add(struct files *files, const char *option, const char *path, enum use use)
{
	struct file *file = &files->file[files->count];

	if (!path || files->count == FILES_MAX || stat(path, &file->st) ||
	    !(S_ISREG(file->st.st_mode) || S_ISBLK(file->st.st_mode)))
		return;
	file->option = option;
	file->use = use;
	for (unsigned int i = 0; i < files->count; i++)
		if (is_same(&files->file[i].st, &file->st) && !may_share(files->file[i].use, use))
			files->good = error_set(files->error, EXIT_CODE_USAGE,
						"%s %s: this VM has the same file by %s, and one would destroy the other",
						option, path, files->file[i].option);
	files->count++;
}

static void add_output(struct files *files, const char *option, const char *where)
{
	if (where && strncmp(where, "unix:", 5))
		add(files, option, where, OUTPUT);
}

static void add_device(struct files *files, const struct virtio_spec *spec)
{
	char *path = spec->value ? strdup(spec->value) : NULL, *place;
	struct disk_options options;
	struct error unused;

	/* Of a wrong word the device says more. */
	if (path && spec->kind == VIRTIO_DISK && disk_split(path, &options, &unused))
		add(files, "--disk", path,
		    options.readonly ? READ : options.unlocked ? SHARED_DISK : DISK);
	if (path && spec->kind == VIRTIO_PORT && (place = strchr(path, '='))) {
		char *console = strstr(place, ",console");

		if (console && !console[strlen(",console")])
			*console = 0;
		add_output(files, "--port", place + 1);
	}
	free(path);
}

bool same_file_check(const struct run_options *options, const char *saved, struct error *error)
{
	static struct files files;

	files = (struct files){ .good = true, .error = error };
	add(&files, "--file", saved, READ);
	add(&files, "--kernel", options->boot.kernel, READ);
	add(&files, "--initrd", options->boot.initrd, READ);
	for (unsigned int i = 0; i < options->boot.nr_modules; i++)
		add(&files, "--module", options->boot.modules[i].path, READ);
	for (unsigned int i = 0; i < options->nr_virtio; i++)
		add_device(&files, &options->virtio[i]);
	if (options->console && strcmp(options->console, "stdio") && strcmp(options->console, "pty"))
		add_output(&files, "--console", options->console);
	add_output(&files, "--panic-dump", options->panic_dump);
	add_output(&files, "--json", options->json);
	return files.good;
}
