// SPDX-License-Identifier: GPL-2.0-only
/*
 * A disk in a raw file or block device.  A failure of the host becomes an I/O error of the request.
 * A malformed request breaks the device; an unknown one is answered as unsupported.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>
#include <linux/falloc.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_ids.h>

#include "base/fail.h"
#include "devices.h"

#define SECTOR		512u
#define MAX_DATA	(128u << 20)	/* of one request; drivers use far fewer */
#define MAX_RANGES	16u		/* of one discard or write-zeroes */
#define MAX_DISCARD	(1u << 22)	/* sectors of one range */
#define MAX_ZEROES	(1u << 16)
#define BIT64(n)	(1ull << (n))
#define LOST		(-1)		/* instead of a status: the driver took the request away */

/**
 * struct block - a disk
 * @sectors: its size when it was opened, which the guest knows
 * @lost: an fdatasync() failed and data may be lost: no flush succeeds any more
 */
struct block {
	struct virtio_device device;
	int fd;
	struct disk_options options;
	bool lost;
	uint64_t sectors;
	unsigned int slot;
};

static struct block *to_block(struct virtio_device *device)
{
	return (struct block *)device;
}

static bool in_range(const struct block *block, uint64_t sector, uint64_t bytes)
{
	return bytes % SECTOR == 0 && sector <= block->sectors &&
	       bytes / SECTOR <= block->sectors - sector;
}

static uint8_t failed(struct block *block, const char *what, uint64_t offset, const char *why)
{
	virtio_complain(&block->device, "%s at byte %llu: %s; the guest gets an I/O error", what,
			(unsigned long long)offset, why);
	return VIRTIO_BLK_S_IOERR;
}

/* Drop the first @bytes of @iov; returns the number of segments left, from *@iov on. */
static unsigned int advance(struct iovec **iov, unsigned int count, size_t bytes)
{
	while (count && bytes >= (*iov)->iov_len) {
		bytes -= (*iov)->iov_len;
		(*iov)++;
		count--;
	}
	if (count) {
		(*iov)->iov_base = (uint8_t *)(*iov)->iov_base + bytes;
		(*iov)->iov_len -= bytes;
	}
	return count;
}

static uint8_t transfer(struct block *block, bool write, uint64_t offset, struct iovec *iov,
			unsigned int count)
{
	const char *what = write ? "write" : "read";

	if (write && !memory_holds(block->device.memory, iov, count))
		return failed(block, what, offset, "the guest's memory did not come");
	while (count) {
		ssize_t done = write ? pwritev(block->fd, iov, count, offset) :
			       preadv(block->fd, iov, count, offset);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return failed(block, what, offset, strerror(errno));
		if (!done)
			return failed(block, what, offset, "the file has become shorter");
		count = advance(&iov, count, done);
		offset += done;
	}
	return VIRTIO_BLK_S_OK;
}

/* A file that was truncated must not grow again with a hole in place of data. */
static bool is_whole(const struct block *block)
{
	struct stat st;

	return !fstat(block->fd, &st) &&
	       (!S_ISREG(st.st_mode) || (uint64_t)st.st_size >= block->sectors * SECTOR);
}

/* Transfer in pieces: the driver may take the request away in between. */
static int read_write(struct block *block, struct queue_chain *chain, bool write, uint64_t sector)
{
	uint64_t skip = write ? sizeof(struct virtio_blk_outhdr) : 0;
	uint64_t bytes = write ? chain->out_bytes - skip : chain->in_bytes - 1, part;
	struct iovec iov[QUEUE_MAX_SEGMENTS];

	if (bytes > MAX_DATA || !in_range(block, sector, bytes) || (write && block->options.readonly))
		return VIRTIO_BLK_S_IOERR;
	if (write && !is_whole(block))
		return failed(block, "write", sector * SECTOR, "the file has become shorter");
	for (uint64_t done = 0; done < bytes; done += part) {
		unsigned int count;
		uint8_t status;

		part = bytes - done < VIRTIO_PIECE ? bytes - done : VIRTIO_PIECE;
		count = chain_slice(chain, !write, skip + done, part, iov);
		status = transfer(block, write, sector * SECTOR + done, iov, count);
		if (status != VIRTIO_BLK_S_OK)
			return status;
		if (!virtio_spend(&block->device, part))
			return LOST;
	}
	return VIRTIO_BLK_S_OK;
}

/* Lock held.  Either the guest's writes are safe, or they are never reported as safe. */
static uint8_t flushed(struct block *block, int error)
{
	if (!error)
		return block->lost ? VIRTIO_BLK_S_IOERR : VIRTIO_BLK_S_OK;
	/* The kernel reports a lost write only once: later calls would succeed. */
	block->lost = true;
	return failed(block, "flush", 0, strerror(error));
}

static int sync_file(const struct block *block)
{
	return !block->options.readonly && !block->lost && fdatasync(block->fd) ? errno : 0;
}

/* Release the lock: the disk may take long, and no guest memory is accessed. */
static uint8_t flush(struct block *block)
{
	int error;

	virtio_unlock(&block->device);
	error = sync_file(block);
	virtio_lock(&block->device);
	return flushed(block, error);
}

/* For file systems that cannot do it. */
static uint8_t write_zeroes(struct block *block, uint64_t offset, uint64_t bytes)
{
	static const uint8_t zeroes[65536];

	while (bytes) {
		size_t part = bytes < sizeof(zeroes) ? bytes : sizeof(zeroes);
		struct iovec iov = { (void *)zeroes, part };
		uint8_t status = transfer(block, true, offset, &iov, 1);

		if (status != VIRTIO_BLK_S_OK)
			return status;
		offset += part;
		bytes -= part;
	}
	return VIRTIO_BLK_S_OK;
}

/* Without the lock, as flush(). */
static uint8_t clear_range(struct block *block, bool discard,
			   const struct virtio_blk_discard_write_zeroes *range)
{
	uint64_t sectors = range->num_sectors, offset = range->sector * SECTOR;
	uint64_t bytes = sectors * SECTOR;
	bool unmap = range->flags & VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP;

	if (range->flags & ~VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP || (discard && unmap))
		return VIRTIO_BLK_S_UNSUPP;
	if (sectors > (discard ? MAX_DISCARD : MAX_ZEROES) ||
	    !in_range(block, range->sector, bytes) || block->options.readonly)
		return VIRTIO_BLK_S_IOERR;
	if (!sectors)
		return VIRTIO_BLK_S_OK;
	if (!is_whole(block))
		return failed(block, "discard", offset, "the file has become shorter");
	if ((discard || unmap) && !fallocate(block->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
					     offset, bytes))
		return VIRTIO_BLK_S_OK;
	/* A discard is a hint: if it is not possible, report success. */
	if (discard)
		return errno == EOPNOTSUPP || errno == ENOSYS ? VIRTIO_BLK_S_OK :
		       failed(block, "discard", offset, strerror(errno));
	if (!fallocate(block->fd, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, offset, bytes))
		return VIRTIO_BLK_S_OK;
	return write_zeroes(block, offset, bytes);
}

static int clear_ranges(struct block *block, struct queue_chain *chain, bool discard)
{
	struct virtio_blk_discard_write_zeroes range;
	uint64_t at = sizeof(struct virtio_blk_outhdr), left = chain->out_bytes - at;
	uint8_t status = VIRTIO_BLK_S_OK;

	if (!left || left % sizeof(range) || left / sizeof(range) > MAX_RANGES)
		return VIRTIO_BLK_S_UNSUPP;
	for (; left && status == VIRTIO_BLK_S_OK; left -= sizeof(range), at += sizeof(range)) {
		chain_read(chain, at, &range, sizeof(range));
		virtio_unlock(&block->device);
		status = clear_range(block, discard, &range);
		virtio_lock(&block->device);
		if (!virtio_spend(&block->device, 0))
			return LOST;
	}
	return status;
}

static uint8_t get_id(struct block *block, struct queue_chain *chain)
{
	char id[VIRTIO_BLK_ID_BYTES] = "";
	uint64_t room = chain->in_bytes - 1;

	snprintf(id, sizeof(id), "gondola-%u", block->slot);
	chain_write(chain, 0, id, room < sizeof(id) ? room : sizeof(id));
	return VIRTIO_BLK_S_OK;
}

void block_count(struct virtio_device *device, const struct queue_chain *chain, uint32_t type,
		 int status)
{
	if (status != VIRTIO_BLK_S_OK) {
		virtio_counted(device, VIRTIO_ERRORS, 1);
		return;
	}
	switch (type) {
	case VIRTIO_BLK_T_IN:
		virtio_counted(device, VIRTIO_IN, 1);
		virtio_counted(device, VIRTIO_IN_BYTES, chain->in_bytes - 1);
		break;
	case VIRTIO_BLK_T_OUT:
		virtio_counted(device, VIRTIO_OUT, 1);
		virtio_counted(device, VIRTIO_OUT_BYTES,
			     chain->out_bytes - sizeof(struct virtio_blk_outhdr));
		break;
	case VIRTIO_BLK_T_FLUSH:
		virtio_counted(device, VIRTIO_FLUSHES, 1);
		break;
	case VIRTIO_BLK_T_DISCARD:
	case VIRTIO_BLK_T_WRITE_ZEROES:
		virtio_counted(device, VIRTIO_DISCARDS, 1);
		break;
	}
}

static int64_t request(struct virtio_device *device, struct queue_chain *chain)
{
	struct block *block = to_block(device);
	struct virtio_blk_outhdr header;
	uint8_t told;
	int status;

	if (chain_read(chain, 0, &header, sizeof(header)) != sizeof(header) || !chain->in_bytes) {
		virtio_broken(device, "a request has no header or no room for its status");
		return -1;
	}
	switch (header.type) {
	case VIRTIO_BLK_T_IN:
	case VIRTIO_BLK_T_OUT:
		status = read_write(block, chain, header.type == VIRTIO_BLK_T_OUT, header.sector);
		break;
	case VIRTIO_BLK_T_FLUSH:
		status = flush(block);
		break;
	case VIRTIO_BLK_T_GET_ID:
		status = get_id(block, chain);
		break;
	case VIRTIO_BLK_T_DISCARD:
	case VIRTIO_BLK_T_WRITE_ZEROES:
		status = clear_ranges(block, chain, header.type == VIRTIO_BLK_T_DISCARD);
		break;
	default:
		status = VIRTIO_BLK_S_UNSUPP;
	}
	if (status == LOST || !virtio_spend(device, 0))
		return LOST;
	block_count(device, chain, header.type, status);
	told = status;
	chain_write(chain, chain->in_bytes - 1, &told, 1);
	return chain->in_bytes;
}

static void destroy(struct virtio_device *device)
{
	close(to_block(device)->fd);
}

static void work(struct virtio_device *device)
{
	virtio_serve(device, 0, request);
}

static void unlock_file(const struct block *block)
{
	struct flock lock = { .l_type = F_UNLCK, .l_whence = SEEK_SET };

	fcntl(block->fd, F_OFD_SETLK, &lock);
}

/* ---- saved state ------------------------------------------------------------------- */

static void save(struct virtio_device *device, struct state_writer *out)
{
	const struct block *block = to_block(device);

	state_put(out, "disk.sectors", 8, block->sectors);
	state_put(out, "disk.lost", 1, block->lost);
}

static void load(struct virtio_device *device, struct state_reader *in)
{
	struct block *block = to_block(device);
	uint64_t sectors = state_take(in, "disk.sectors", 8, UINT64_MAX);

	if (sectors != block->sectors)
		state_refuse(in, "disk.sectors", "the disk had %llu, %s has %llu",
			     (unsigned long long)sectors, device->label,
			     (unsigned long long)block->sectors);
	block->lost = state_take(in, "disk.lost", 1, 1);
}

static bool safe(const struct block *block, int error, struct error *words)
{
	return !error || error_set(words, EXIT_CODE_ERROR,
				   "%s: what the guest wrote may be lost: %s", block->device.label,
				   strerror(error));
}

/* The kernel reports lost data only once.  If this caller gets the report, pass it to guest and user. */
static bool prepare(struct virtio_device *device, struct error *error)
{
	struct block *block = to_block(device);
	int ret = sync_file(block);

	if (ret) {
		virtio_lock(device);
		flushed(block, ret);
		virtio_unlock(device);
	}
	return safe(block, ret, error);
}

/* Report only new losses: the guest knows older ones, or learns them from the saved state. */
static bool settle(struct virtio_device *device, struct error *error)
{
	struct block *block = to_block(device);
	int ret = sync_file(block);

	flushed(block, ret);
	return safe(block, ret, error);
}

/* The next process to open the file, on any host, must find the guest's writes. */
static void yield(struct virtio_device *device)
{
	struct block *block = to_block(device);

	flushed(block, sync_file(block));
	unlock_file(block);
}

/* ---- opening ----------------------------------------------------------------------- */

/*
 * Another host may have written since this one read the size, the format or the partition table, so
 * caches of a block device are stale.
 */
static void forget_cached(const struct block *block)
{
	posix_fadvise(block->fd, 0, 0, POSIX_FADV_DONTNEED);
}

bool disk_lock(int fd, const struct disk_options *options, struct error *error)
{
	struct flock lock = {
		.l_type = options->readonly ? F_RDLCK : F_WRLCK, .l_whence = SEEK_SET,
	};

	if (options->unlocked || !fcntl(fd, F_OFD_SETLK, &lock))
		return true;
	if (errno == EAGAIN || errno == EACCES)
		return error_set(error, EXIT_CODE_USAGE,
				 "it is in use by another virtual machine or disk");
	if (errno == ENOLCK || errno == EOPNOTSUPP || errno == ENOSYS)
		return error_set(error, EXIT_CODE_USAGE,
				 "its file system has no locks, as NFS without lockd; if nothing else uses the disk, do without: FILE,lock=off");
	return error_set(error, error_status(errno), "cannot lock it: %s", strerror(errno));
}

static bool lock_file(const struct block *block, struct error *error)
{
	if (!disk_lock(block->fd, &block->options, error))
		return false;
	forget_cached(block);
	return true;
}

static bool claim(struct virtio_device *device, struct error *error)
{
	struct block *block = to_block(device);

	if (!lock_file(block, error))
		return error_set(error, EXIT_CODE_ERROR, "%s: %s", device->label, error->words);
	if (is_whole(block))
		return true;
	unlock_file(block);
	return error_set(error, EXIT_CODE_ERROR, "%s: the file has become shorter", device->label);
}

/*
 * Image formats of other programs: the guest would see their headers and overwrite them.  A raw
 * disk begins with a boot sector, a label or nothing, which look different.
 */
static const struct {
	unsigned int offset;
	unsigned int bytes;
	const char *magic;
	const char *format;
} images[] = {
	{ 0, 4, "QFI\xfb", "qcow2" },
	{ 0, 4, "QED\0", "qed" },
	{ 0, 4, "KDMV", "vmdk" },
	{ 0, 4, "COWD", "vmdk" },
	{ 0, 21, "# Disk DescriptorFile", "vmdk" },
	{ 0, 8, "vhdxfile", "vhdx" },
	{ 0, 8, "conectix", "vpc" },
	{ 0x40, 4, "\x7f\x10\xda\xbe", "vdi" },
	{ 0, 16, "WithoutFreeSpace", "parallels" },
	{ 0, 16, "WithouFreSpacExt", "parallels" },
	{ 0, 12, "Bochs Virtua", "bochs" },
};

static const char *image_format(int fd)
{
	uint8_t start[SECTOR];

	if (pread(fd, start, sizeof(start), 0) != sizeof(start))
		return NULL;
	for (unsigned int i = 0; i < sizeof(images) / sizeof(images[0]); i++)
		if (!memcmp(start + images[i].offset, images[i].magic, images[i].bytes))
			return images[i].format;
	return NULL;
}

/* What QEMU's storage daemon reads and writes. */
static const char *const served[] = { "qcow2", "vmdk", "vdi", "vhdx", "vpc", "qed", "parallels" };

static const char *format_by_name(const char *name)
{
	if (!strcmp(name, "raw"))
		return "raw";
	for (unsigned int i = 0; i < sizeof(served) / sizeof(served[0]); i++)
		if (!strcmp(name, served[i]))
			return served[i];
	return NULL;
}

bool disk_is_served(const struct disk_options *options)
{
	return options->format && strcmp(options->format, "raw");
}

bool disk_split(char *spec, struct disk_options *options, struct error *error)
{
	char *comma;

	*options = (struct disk_options){ .readonly = false };
	while ((comma = strrchr(spec, ','))) {
		if (!strcmp(comma, ",ro"))
			options->readonly = true;
		else if (!strncmp(comma, ",format=", 8) && format_by_name(comma + 8))
			options->format = format_by_name(comma + 8);
		else if (!strcmp(comma, ",lock=off"))
			options->unlocked = true;
		else if (!strncmp(comma, ",format=", 8))
			return error_set(error, EXIT_CODE_USAGE,
					 "--disk %s: \"%s\" is none of raw, qcow2, vmdk, vdi, vhdx, vpc, qed and parallels",
					 spec, comma + 8);
		else
			break;
		*comma = 0;
	}
	return true;
}

/*
 * Unless the user says so, a disk that looks like another image is not used as raw, nor as that: a
 * guest can write any header to its raw disk.  For an incoming VM it is raw already, and data of its
 * guest must not prevent the move.
 */
static bool is_as_said(const struct block *block, const char *path, const char *said,
		       struct error *error)
{
	bool trusted = (said && !strcmp(said, "raw")) || devices_incoming();
	const char *format = trusted ? NULL : image_format(block->fd);

	if (!format || (said && !strcmp(said, format)))
		return true;
	if (said)
		return error_set(error, EXIT_CODE_USAGE, "--disk %s: it is a %s image, not %s", path,
				 format, said);
	if (!format_by_name(format))
		return error_set(error, EXIT_CODE_USAGE,
				 "--disk %s: it is a %s image, which is not served (make another: qemu-img convert -f %s -O qcow2 FILE NEW; or insist that it is raw: FILE,format=raw)",
				 path, format, format);
	return error_set(error, EXIT_CODE_USAGE,
			 "--disk %s: it is a %s image, and not said to be one (say so: FILE,format=%s; or insist that it is raw: FILE,format=raw)",
			 path, format, format);
}

/* The file is open, and contains a disk. */
static bool is_disk(const struct block *block, const char *path, const char *format, off_t *bytes,
		    struct error *error)
{
	if (!is_as_said(block, path, format, error))
		return false;
	*bytes = lseek(block->fd, 0, SEEK_END);
	return *bytes >= (off_t)SECTOR ||
	       error_set(error, EXIT_CODE_USAGE, "--disk %s: it is smaller than a sector", path);
}

/* Does this host use the block device, or a part of it?  File systems, swap, RAID and LVM claim it. */
static bool is_claimed(const char *path)
{
	int fd = open(path, O_RDONLY | O_EXCL | O_NONBLOCK | O_CLOEXEC);

	if (fd >= 0)
		close(fd);
	return fd < 0 && errno == EBUSY;
}

/* Before it is opened, since opening a pipe would wait.  That it is there, open() finds out. */
static bool is_file(const char *path, bool readonly, struct error *error)
{
	struct stat st;

	if (stat(path, &st) || S_ISREG(st.st_mode))
		return true;
	if (!S_ISBLK(st.st_mode))
		return error_set(error, EXIT_CODE_USAGE,
				 "--disk %s: it is neither a file nor a block device", path);
	/* Two systems that write to one file system destroy it. */
	return readonly || !is_claimed(path) ||
	       error_set(error, EXIT_CODE_USAGE,
			 "--disk %s: this host uses it (a file system that is mounted, swap, RAID or LVM)",
			 path);
}

/* What is no option is taken for a part of the path. */
static const char *hint_of(const char *path)
{
	if (errno != ENOENT)
		return "";
	if (!strncmp(path, "file=", 5) || !strncmp(path, "path=", 5))
		return " (the path comes first, as in FILE,ro)";
	return strchr(path, ',') ? " (the options are ,ro ,format=... and ,lock=off)" : "";
}

bool disk_check(const char *spec, struct error *error)
{
	char *path = strdup(spec);
	struct disk_options options;
	struct block block;
	off_t bytes;
	bool good;

	if (!path)
		return error_set(error, EXIT_CODE_ERROR, "out of memory");
	good = disk_split(path, &options, error) && is_file(path, options.readonly, error);
	if (good) {
		block.fd = open(path, O_RDONLY | O_CLOEXEC);
		good = block.fd < 0 ?
		       error_set(error, EXIT_CODE_IMAGE, "--disk %s: %s%s", path, strerror(errno),
				 hint_of(path)) :
		       is_disk(&block, path, options.format, &bytes, error);
		if (block.fd >= 0)
			close(block.fd);
	}
	free(path);
	return good;
}

static bool open_disk(struct block *block, const char *path, struct error *error)
{
	off_t bytes;

	if (!is_file(path, block->options.readonly, error))
		return false;
	block->fd = open(path, (block->options.readonly ? O_RDONLY : O_RDWR) | O_CLOEXEC);
	if (block->fd < 0)
		return error_set(error, error_status(errno), "--disk %s: %s%s", path, strerror(errno),
				 !block->options.readonly && (errno == EACCES || errno == EROFS) ?
				 " (to read it only: --disk FILE,ro)" : hint_of(path));
	if (!devices_incoming() && !lock_file(block, error))
		return error_set(error, error->status, "--disk %s: %s", path, error->words);
	if (!is_disk(block, path, block->options.format, &bytes, error))
		return false;
	if (bytes % SECTOR)
		say("--disk %s: its last %u bytes are no whole sector, the guest does not see them",
		    path, (unsigned int)(bytes % SECTOR));
	block->sectors = bytes / SECTOR;
	return true;
}

static bool open_spec(struct block *block, const char *spec, struct error *error)
{
	static unsigned int slots;
	char *path = strdup(spec);
	bool good;

	if (!path)
		return error_set(error, EXIT_CODE_ERROR, "out of memory");
	block->slot = slots++;
	good = disk_split(path, &block->options, error) && open_disk(block, path, error);
	snprintf(block->device.label, sizeof(block->device.label), "disk %s", path);
	free(path);
	return good;
}

struct virtio_device *block_create(struct guest_memory *memory, uint8_t *registers,
				   const char *spec, struct error *error)
{
	static const struct virtio_ops ops = {
		.name = "disk", .id = VIRTIO_ID_BLOCK, .work = work, .destroy = destroy,
		.version = 1, .save = save, .load = load, .prepare = prepare,
		.settle = settle, .yield = yield, .claim = claim,
	};
	struct block *block = device_alloc(sizeof(*block));
	uint64_t features = BIT64(VIRTIO_BLK_F_SEG_MAX) | BIT64(VIRTIO_BLK_F_BLK_SIZE) |
			    BIT64(VIRTIO_BLK_F_FLUSH);
	struct virtio_blk_config config = { .seg_max = 126, .blk_size = SECTOR };

	block->fd = -1;
	if (!open_spec(block, spec, error)) {
		close(block->fd);
		free(block);
		return NULL;
	}
	config.capacity = block->sectors;
	if (block->options.readonly) {
		features |= BIT64(VIRTIO_BLK_F_RO);
	} else {
		features |= BIT64(VIRTIO_BLK_F_DISCARD) | BIT64(VIRTIO_BLK_F_WRITE_ZEROES);
		config.max_discard_sectors = MAX_DISCARD;
		config.max_discard_seg = MAX_RANGES;
		config.discard_sector_alignment = 8;
		config.max_write_zeroes_sectors = MAX_ZEROES;
		config.max_write_zeroes_seg = MAX_RANGES;
		config.write_zeroes_may_unmap = 1;
	}
	if (!virtio_init(&block->device, &ops, memory, registers, features, 1, error))
		return NULL;
	virtio_set_config(&block->device, 0, &config, sizeof(config));
	return &block->device;
}
