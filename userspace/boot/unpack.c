// SPDX-License-Identifier: GPL-2.0-only
/* Kernel images that are compressed as a whole, and files that are no kernel. */
#include <lz4.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "boot.h"

#define UNPACKED_MAX	(256ull << 20)
#define FIRST_ROOM	(1u << 20)
#define LZ4_BLOCK	(8u << 20)
#define ANY_HEADER	32		/* zlib finds out whether it is gzip's */

/* Room for more of what is unpacked; -1 if there is none, or if it is too much. */
static int grow(struct image *to, size_t *room)
{
	size_t more = *room ? *room * 2 : FIRST_ROOM;
	uint8_t *data = more <= UNPACKED_MAX ? realloc(to->data, more) : NULL;

	if (!data)
		return -1;
	to->data = data;
	*room = more;
	return 0;
}

static int unpack_gzip(const struct image *from, struct image *to)
{
	z_stream stream = { .next_in = from->data, .avail_in = from->bytes };
	size_t room = 0;
	int ret = Z_OK;

	if (inflateInit2(&stream, ANY_HEADER + MAX_WBITS) != Z_OK)
		return -1;
	while (ret == Z_OK) {
		if (to->bytes == room && grow(to, &room))
			break;
		stream.next_out = to->data + to->bytes;
		stream.avail_out = room - to->bytes;
		ret = inflate(&stream, Z_NO_FLUSH);
		to->bytes = room - stream.avail_out;
	}
	inflateEnd(&stream);
	return ret == Z_STREAM_END ? 0 : -1;
}

static int unpack_zstd(const struct image *from, struct image *to)
{
	ZSTD_inBuffer in = { from->data, from->bytes, 0 };
	ZSTD_DStream *stream = ZSTD_createDStream();
	size_t room = 0, left = 1;

	while (stream && left && !ZSTD_isError(left)) {
		ZSTD_outBuffer out;

		if (to->bytes == room && grow(to, &room))
			break;
		out = (ZSTD_outBuffer){ to->data, room, to->bytes };
		left = ZSTD_decompressStream(stream, &out, &in);
		if (out.pos == to->bytes && in.pos == in.size && left)
			break;
		to->bytes = out.pos;
	}
	ZSTD_freeDStream(stream);
	return left ? -1 : 0;
}

/*
 * The form that lz4 -l writes, and Linux has: blocks of at most 8 MiB each, with their length before
 * them.  Behind the last one Linux has the length of all.
 */
static int unpack_lz4(const struct image *from, struct image *to)
{
	uint64_t at = sizeof(uint32_t);
	size_t room = 0;
	uint32_t bytes;
	int got;

	while (from->bytes - at > sizeof(bytes)) {
		memcpy(&bytes, from->data + at, sizeof(bytes));
		at += sizeof(bytes);
		if (bytes > from->bytes - at)
			return -1;
		while (room - to->bytes < LZ4_BLOCK)
			if (grow(to, &room))
				return -1;
		got = LZ4_decompress_safe((const char *)from->data + at, (char *)to->data + to->bytes,
					  bytes, LZ4_BLOCK);
		if (got < 0)
			return -1;
		to->bytes += got;
		at += bytes;
	}
	return 0;
}

static bool starts_with(const struct image *image, uint64_t offset, const char *magic, size_t bytes)
{
	const void *at = image_at(image, offset, bytes);

	return at && !memcmp(at, magic, bytes);
}
#define STARTS_WITH(image, magic)	starts_with(image, 0, magic, sizeof(magic) - 1)

/* DOS programs begin so, too, but nothing says where a header of the other kind is. */
bool image_is_efi(const struct image *image)
{
	const uint8_t *at = image_at(image, 0x3c, 4);
	uint32_t header;

	if (!at || !STARTS_WITH(image, "MZ"))
		return false;
	memcpy(&header, at, sizeof(header));
	return starts_with(image, header, "PE\0\0", 4);
}

int image_unpack(struct boot *boot, struct image *image)
{
	struct image unpacked = { .path = image->path };
	int ret;

	if (STARTS_WITH(image, "\x1f\x8b"))
		ret = unpack_gzip(image, &unpacked);
	else if (STARTS_WITH(image, "\x28\xb5\x2f\xfd"))
		ret = unpack_zstd(image, &unpacked);
	else if (STARTS_WITH(image, "\x02\x21\x4c\x18"))
		ret = unpack_lz4(image, &unpacked);
	else
		return 0;
	image_free(image);
	*image = unpacked;
	if (!ret)
		return 0;
	image_free(image);
	return boot_error(boot, "%s: a compressed file that is damaged, cut short or too large",
			  image->path);
}

const char *image_other(const struct image *image)
{
	static const struct {
		uint64_t offset;
		const char *magic;
		const char *words;
	} others[] = {
		{ 0, "\3757zXZ", "compressed with xz: unpack it first (unxz)" },
		{ 0, "BZh", "compressed with bzip2: unpack it first (bunzip2)" },
		{ 0, "\x04\x22\x4d\x18", "compressed with lz4: unpack it first (unlz4)" },
		{ 0, "\x89LZO", "compressed with lzop: unpack it first (lzop -d)" },
		/* Before EFI's, which they begin with, too. */
		{ 0x38, "ARM\x64", "a kernel for arm64, another kind of processor" },
		{ 0x38, "RSC\x05", "a kernel for RISC-V, another kind of processor" },
		{ 0, "QFI\xfb", "a disk image (qcow2), not a kernel" },
		{ 0, "KDMV", "a disk image (VMDK), not a kernel" },
		{ 0x8001, "CD001", "an image of a CD: take the kernel and initrd from it" },
		{ 0, "MZ", "a program for DOS, which this machine does not have" },
		{ 0, "070701", "an archive for --initrd, not a kernel" },
		{ 0, "!<arch>\n", "an archive, such as a package: unpack it first (dpkg -x)" },
	};

	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		if (others[i].magic[0] == 'M' && image_is_efi(image))
			return "a program for EFI firmware, which this machine does not have";
		if (starts_with(image, others[i].offset, others[i].magic, strlen(others[i].magic)))
			return others[i].words;
	}
	if (sector_is(image))
		return "an image of a whole disk, for a BIOS to start: take the kernel and initrd from it";
	return "not a kernel image (no bzImage, no ELF file, no multiboot header, no boot sector)";
}
