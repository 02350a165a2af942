// SPDX-License-Identifier: GPL-2.0-only
/* Disks that are images of other formats: QEMU's storage daemon is started for each. */
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <linux/virtio_blk.h>

#include "sandbox/keeper.h"
#include "sandbox/notes.h"
#include "driver.h"

#define DATA		(BUFFERS + 0x1000)
#define STATUS		(BUFFERS + 0x100)
#define IMAGE_BYTES	(8u << 20)
#define WRITTEN		4096u	/* bytes, in the middle */

static char image[DISK_NAME_ROOM + 8], expected[DISK_NAME_ROOM + 8], base[DISK_NAME_ROOM + 8];
static char spec[DISK_NAME_ROOM + 64];
static const char *named = base;	/* the other file */

/* Returns its exit status. */
__attribute__((format(printf, 1, 2)))
static int shell(const char *format, ...)
{
	char command[512];
	va_list args;
	int status;

	va_start(args, format);
	vsnprintf(command, sizeof(command), format, args);
	va_end(args);
	status = system(command);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void need_programs(void)
{
	if (shell("command -v qemu-storage-daemon qemu-img > /dev/null"))
		tap_skip("qemu-storage-daemon or qemu-img is not installed (tools/testing/machine/packages)");
	snprintf(image, sizeof(image), "%s.image", disk_name);
	snprintf(expected, sizeof(expected), "%s.raw", disk_name);
	snprintf(base, sizeof(base), "%s.base", disk_name);
}

static void clean(void)
{
	unlink(image);
	unlink(expected);
	unlink(base);
}

/* "" if there is a device: then it is @driver's. */
static const char *open_image(const char *options)
{
	static struct error error;
	struct virtio_device *device;

	snprintf(spec, sizeof(spec), "%s,%s", image, options);
	driver_shared_memory();
	error.words[0] = 0;
	device = image_create(&driver.memory, driver.registers, spec, &error);
	expect_equal(!device, !!error.words[0]);
	if (device)
		driver_start(device, 0);
	else
		driver_forget();
	return error.words;
}

/* As at the VM's end: the programs have ended after that. */
static void close_image(void)
{
	driver_end();
	notes_end();
}

static int request(uint32_t type, uint64_t sector, uint32_t bytes)
{
	const struct virtio_blk_outhdr header = { .type = type, .sector = sector };
	uint16_t next = ring_used(0)->idx + 1;
	uint8_t *status = guest(STATUS);

	memcpy(guest(BUFFERS), &header, sizeof(header));
	*status = 0xaa;
	put_desc(0, 0, BUFFERS, sizeof(header), NEXT, bytes ? 1 : 2);
	put_desc(0, 1, DATA, bytes, NEXT | (type == VIRTIO_BLK_T_OUT ? 0 : WRITE), 2);
	put_desc(0, 2, STATUS, 1, WRITE, 0);
	offer(0, 0);
	return used_within(0, next) ? *status : -1;
}

static void write_expected(void)
{
	static uint8_t data[WRITTEN];
	int fd = open(expected, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	memset(data, 'w', sizeof(data));
	require(fd >= 0);
	require_equal(ftruncate(fd, IMAGE_BYTES), 0);
	require_equal(pwrite(fd, data, sizeof(data), IMAGE_BYTES / 2), sizeof(data));
	close(fd);
}

static void serve_format(const char *format)
{
	char options[32];
	uint8_t *data;

	clean();
	require_equal(shell("qemu-img create -q -f %s %s %u", format, image, IMAGE_BYTES), 0);
	write_expected();
	snprintf(options, sizeof(options), "format=%s", format);
	tap_check(!*open_image(options), true, "%s: it is not opened", format);
	data = guest(DATA);
	tap_check(get_register(VIRTIO_CONFIG) >= IMAGE_BYTES / 512, false, "%s: %u sectors", format,
		  get_register(VIRTIO_CONFIG));
	expect_equal(request(VIRTIO_BLK_T_IN, 0, 512), 0);
	expect_equal(data[0], 0);
	memset(data, 'w', WRITTEN);
	expect_equal(request(VIRTIO_BLK_T_OUT, IMAGE_BYTES / 2 / 512, WRITTEN), 0);
	memset(data, 0, WRITTEN);
	expect_equal(request(VIRTIO_BLK_T_IN, IMAGE_BYTES / 2 / 512, WRITTEN), 0);
	expect_equal(data[WRITTEN - 1], 'w');
	/* No flush: the program has it until it ends. */
	close_image();
	tap_check(!shell("qemu-img compare -q -f %s -F raw %s %s", format, image, expected), false,
		  "%s: it does not have what was written", format);
	/* 63: this format has no check. */
	tap_check(!(shell("qemu-img check -q -f %s %s 2> /dev/null", format, image) % 63), false,
		  "%s: it is damaged", format);
}

static void formats(void)
{
	static const char *const all[] = {
		"qcow2", "vmdk", "vdi", "vhdx", "vpc", "qed", "parallels",
	};

	need_programs();
	for (unsigned int i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		serve_format(all[i]);
	clean();
}

/* It is started again, and has all that was written. */
static void killed(void)
{
	uint8_t *data;

	need_programs();
	require_equal(shell("qemu-img create -q -f qcow2 %s %u", image, IMAGE_BYTES), 0);
	write_expected();
	require(!*open_image("format=qcow2"));
	data = guest(DATA);
	memset(data, 'w', WRITTEN);
	expect_equal(request(VIRTIO_BLK_T_OUT, IMAGE_BYTES / 2 / 512, WRITTEN), 0);
	for (unsigned int i = 0; i < 3; i++) {
		expect_equal(shell("kill -9 $(pgrep -P %d qemu-storage)", getpid()), 0);
		memset(data, 0, WRITTEN);
		expect_equal(request(VIRTIO_BLK_T_IN, IMAGE_BYTES / 2 / 512, WRITTEN), 0);
		expect_equal(data[WRITTEN - 1], 'w');
	}
	close_image();
	expect_equal(shell("qemu-img compare -q -f qcow2 -F raw %s %s", image, expected), 0);
	clean();
}

static void only_read(void)
{
	need_programs();
	require_equal(shell("qemu-img create -q -f qcow2 %s 8M && md5sum %s > %s", image, image,
			    expected), 0);
	expect_equal(chmod(image, 0400), 0);
	require(!*open_image("format=qcow2,ro"));
	expect(driver.device->features & BIT64(VIRTIO_BLK_F_RO));
	expect_equal(request(VIRTIO_BLK_T_OUT, 0, 512), VIRTIO_BLK_S_IOERR);
	expect_equal(request(VIRTIO_BLK_T_IN, 0, 512), 0);
	close_image();
	expect_equal(shell("md5sum --quiet -c %s", expected), 0);
	clean();
}

static void refused(const char *make, const char *options, const char *words)
{
	const char *said;

	clean();
	require_equal(shell("cd /tmp; i=%s b=%s; %s", image, base, make), 0);
	said = open_image(options);
	tap_check(strstr(said, words), false, "%s: \"%s\"", make, said);
	tap_check(strstr(said, image), false, "%s: \"%s\" does not name the file", make, said);
	if (!*said)
		driver_end();
	notes_end();
}

static void bad_images(void)
{
	need_programs();
	refused(":", "format=qcow2", "No such file");
	refused("mkdir $i && trap 'rmdir $i' EXIT", "format=qcow2", "No such file");
	refused("truncate -s 1M $i", "format=qcow2", "qemu-storage-daemon: Image is not in qcow2 format");
	refused("truncate -s 1M $i", "format=vdi", "qemu-storage-daemon: ");
	refused("qemu-img create -q -f vmdk $i 1M", "format=qcow2", "it is a vmdk image, not qcow2");
	/* A header that asks for gigabytes of tables. */
	refused("qemu-img create -q -f qcow2 $i 1M; printf '\\177\\377\\377\\377' | dd of=$i bs=1 seek=36 conv=notrunc status=none",
		"format=qcow2", "qemu-storage-daemon: ");
	refused("qemu-img create -q -f qcow2 $i 1M; printf '\\11' | dd of=$i bs=1 seek=7 conv=notrunc status=none",
		"format=qcow2", "qemu-storage-daemon: Unsupported qcow2 version 9");
	clean();
}

/* While one has it, nobody else gets it. */
static void in_use(void)
{
	struct disk_options options = { .readonly = false };
	struct error error;
	int fd;

	need_programs();
	require_equal(shell("qemu-img create -q -f qcow2 %s 1M", image), 0);
	require(!*open_image("format=qcow2"));
	fd = open(image, O_RDWR | O_CLOEXEC);
	require(fd >= 0);
	expect(!disk_lock(fd, &options, &error));
	close(fd);
	expect(shell("qemu-img check -q %s 2> /dev/null", image));
	close_image();
	fd = open(image, O_RDWR | O_CLOEXEC);
	require(disk_lock(fd, &options, &error));
	expect(strstr(open_image("format=qcow2"), "lock"));
	close(fd);
	notes_end();
	clean();
}

static void not_installed(void)
{
	char *path = strdup(getenv("PATH"));
	const char *words;

	need_programs();
	require_equal(shell("qemu-img create -q -f qcow2 %s 1M", image), 0);
	setenv("PATH", "/nowhere", 1);
	words = open_image("format=qcow2");
	setenv("PATH", path, 1);
	expect(strstr(words, "qemu-storage-daemon is not installed"));
	expect(strstr(words, "package qemu-system-common"));
	free(path);
	notes_end();
	clean();
}

/*
 * The keeper's programs can open their image only: not what its header names.  That is shown in a
 * process of its own, as the keeper is another's.
 */
static int open_confined(void)
{
	struct error error = { .words = "" };
	struct virtio_device *device;

	if (!keeper_start(&error))
		return 1;
	snprintf(spec, sizeof(spec), "%s,format=qcow2", image);
	driver_shared_memory();
	device = image_create(&driver.memory, driver.registers, spec, &error);
	if (device)
		virtio_destroy(device);
	keeper_end();
	if (device)
		return 0;
	return strstr(error.words, "Permission denied") && strstr(error.words, named) ? 2 : 3;
}

static int in_another_process(int (*run)(void))
{
	pid_t child;
	int status;

	fflush(NULL);
	child = fork();
	if (!child)
		_exit(run());
	require_equal(waitpid(child, &status, 0), child);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void only_the_image(void)
{
	need_programs();
	require_equal(shell("qemu-img create -q -f qcow2 %s 1M", image), 0);
	expect_equal(in_another_process(open_confined), 0);
	unlink(image);
	require_equal(shell("truncate -s 1M %s; qemu-img create -q -f qcow2 -b %s -F raw %s", base, base,
			    image), 0);
	expect_equal(in_another_process(open_confined), 2);
	unlink(image);
	require_equal(shell("qemu-img create -q -f qcow2 -o data_file=%s,data_file_raw=on %s 1M", base,
			    image), 0);
	expect_equal(in_another_process(open_confined), 2);
	unlink(image);
	/* What programs need of the host is not for the guest, either. */
	named = "/etc/passwd";
	require_equal(shell("qemu-img create -q -f qcow2 -b %s -F raw %s 512", named, image), 0);
	expect_equal(in_another_process(open_confined), 2);
	named = base;
	clean();
}

const struct test_table image_tests = TEST_TABLE(
	{ "images of seven formats are served, and are whole after that", formats },
	{ "a program that is killed is started again, and nothing is lost", killed },
	{ "an image that is only read stays as it is", only_read },
	{ "what is no image is refused in words", bad_images },
	{ "an image in use is locked, for others and by them", in_use },
	{ "a program that is not installed is named with its package", not_installed },
	{ "the program of an image opens no file that the image names", only_the_image },
);
