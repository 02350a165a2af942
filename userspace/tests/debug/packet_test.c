// SPDX-License-Identifier: GPL-2.0-only
/* Packets of GDB's remote protocol, and registers as it counts them. */
#include <stddef.h>
#include <stdlib.h>

#include "tap.h"
#include "debug/packet.h"
#include "debug/registers.h"

static struct packet_reader reader;

/* The event that the last byte of @bytes completes; none before it may complete anything. */
static enum packet_event feed_bytes(const char *bytes, size_t count)
{
	for (size_t i = 0; i + 1 < count; i++)
		expect_equal(packet_read(&reader, (uint8_t)bytes[i]), PACKET_NONE);
	return packet_read(&reader, (uint8_t)bytes[count - 1]);
}

static enum packet_event feed(const char *text)
{
	return feed_bytes(text, strlen(text));
}

static void whole(void)
{
	expect_equal(feed("+"), PACKET_ACK);
	expect_equal(feed("$g#67"), PACKET_READY);
	expect(!strcmp(reader.data, "g"));
	expect_equal(feed("$#00"), PACKET_READY);
	expect_equal(reader.used, 0);
	/* An escaped byte, and digits of either case. */
	expect_equal(feed("$X}\x03#D8"), PACKET_READY);
	expect(!memcmp(reader.data, "X#", 3));
}

static void broken(void)
{
	expect_equal(feed("$g#68"), PACKET_WRONG);
	expect_equal(feed("$g#x7"), PACKET_WRONG);
	expect_equal(feed("$g#6x"), PACKET_WRONG);
	/* One that begins anew counts, what was before it does not. */
	expect_equal(feed("$m1000,$g#67"), PACKET_READY);
	expect(!strcmp(reader.data, "g"));
	expect_equal(feed("-"), PACKET_REPEAT);
	expect_equal(feed("\x03"), PACKET_INTERRUPT);
	/* Inside a packet it is a byte like others. */
	expect_equal(feed("$\x03#03"), PACKET_READY);
}

static void too_long(void)
{
	size_t bytes = PACKET_MAX + 1000;
	char *text = malloc(bytes + 5);

	require(text);
	memset(text, 'a', bytes + 5);
	text[0] = '$';
	sprintf(text + 1 + bytes, "#%02x", (unsigned int)(bytes * 'a' & 0xff));
	expect_equal(feed(text), PACKET_WRONG);
	expect_equal(feed("$g#67"), PACKET_READY);
	free(text);
}

static void answers(void)
{
	static struct packet packet;
	char framed[64];

	packet_text(&packet, "%s", "O");
	packet_hex(&packet, "\x01\xfe", 2);
	packet_binary(&packet, "}\0#", 3);
	expect_equal(packet.used, 10);
	expect(!memcmp(packet.data, "O01fe}]\0}\x03", 10));
	expect_equal(packet_frame(&packet, framed, 13), 0);
	expect_equal(packet_frame(&packet, framed, 14), 14);
	expect_equal(packet_frame(&(struct packet){ .used = 2, .data = "OK" }, framed, 64), 6);
	expect(!memcmp(framed, "$OK#9a", 6));
	for (int i = 0; i < 100; i++)
		packet_hex(&packet, framed, 64);
	expect(packet.full && packet.used <= sizeof(packet.data));
}

static void numbers(void)
{
	const char *at = "ffffffff81000000,", *none = ",", *long_one = "00000000000000001";
	uint64_t number;
	uint8_t two[2];

	expect(packet_number(&at, &number) && number == 0xffffffff81000000 && *at == ',');
	expect(!packet_number(&none, &number));
	expect(!packet_number(&long_one, &number));
	at = "12Af";
	expect(packet_bytes(&at, two, 2) && two[0] == 0x12 && two[1] == 0xaf && !*at);
	at = "123";
	expect(!packet_bytes(&at, two, 2));
}

/* As GDB's standard features count them. */
static const char *value(const struct registers *registers, unsigned int number)
{
	static struct packet packet;

	memset(&packet, 0, sizeof(packet));
	require(registers_put(registers, number, &packet));
	return packet.data;
}

static void register_numbers(void)
{
	static struct registers registers;
	const char *at = "8877665544332211";

	for (int i = 0; i < 16; i++)
		registers.regs.gpr[i] = 0x1111111100000000ull + (uint64_t)i;
	registers.regs.rip = 0xffffffff81000000;
	registers.fx[160] = 0xab;
	registers.shape.long_mode = true;
	expect(!strcmp(value(&registers, 1), "0300000011111111"));	/* rbx */
	expect(!strcmp(value(&registers, 7), "0400000011111111"));	/* rsp */
	expect(!strcmp(value(&registers, 16), "00000081ffffffff"));	/* rip */
	expect(!strcmp(value(&registers, 17), "00000000"));		/* eflags */
	expect_equal(strlen(value(&registers, 24)), 20);		/* st0 */
	expect(!strncmp(value(&registers, 40), "ab00", 4));		/* xmm0 */
	expect(registers_take(&registers, 1, &at) && registers.regs.gpr[3] == 0x1122334455667788);
	at = "00";
	expect(!registers_take(&registers, 1, &at));
	expect(!registers_take(&registers, registers_count(registers.shape), &at));
	registers.shape.long_mode = false;
	expect(!strcmp(value(&registers, 1), "01000000"));		/* ecx */
	expect(!strcmp(value(&registers, 8), "00000081"));		/* eip */
	expect(!strncmp(value(&registers, 32), "ab00", 4));		/* xmm0 */
}

/* They come last, and only where the vCPU has them. */
static void avx_registers(void)
{
	static struct registers registers = { .shape = { .long_mode = true } };
	const char *at = "00000000000000000000000000000001";
	unsigned int plain = registers_count(registers.shape), first = plain;

	expect(!registers_take(&registers, first, &at));
	registers.shape.avx = true;
	expect_equal(registers_count(registers.shape), plain + 16);
	registers.ymm[0] = 0xcd;
	registers.ymm[255] = 0xef;
	expect(!strncmp(value(&registers, first), "cd00", 4));
	expect(!strcmp(value(&registers, first + 15), "000000000000000000000000000000ef"));
	/* Writing back the same value needs no AVX in the guest. */
	at = "cd000000000000000000000000000000";
	expect(registers_take(&registers, first, &at) && !registers.ymm_taken && !registers.fx_taken);
	at = "00000000000000000000000000000001";
	expect(registers_take(&registers, first, &at) && registers.ymm_taken && !registers.fx_taken);
	expect(registers.ymm[0] == 0 && registers.ymm[15] == 1);
	registers.shape.long_mode = false;
	plain = registers_count(registers.shape);
	registers.shape.avx = false;
	expect_equal(plain, registers_count(registers.shape) + 8);
}

static void description(void)
{
	const struct register_shape wide = { .long_mode = true, .avx = true }, narrow = { .avx = false };
	char xml[8192], small[100];

	expect(registers_xml(wide, xml, sizeof(xml)) == strlen(xml));
	expect(strstr(xml, "<architecture>i386:x86-64</architecture>"));
	expect(strstr(xml, "<reg name=\"fs_base\" bitsize=\"64\" type=\"int\"/>"));
	expect(!strcmp(xml + strlen(xml) - 9, "</target>"));
	expect(strstr(xml, "<feature name=\"org.gnu.gdb.i386.avx\"><reg name=\"ymm0h\" bitsize=\"128\" type=\"uint128\"/>"));
	expect(registers_xml(narrow, xml, sizeof(xml)) == strlen(xml));
	expect(strstr(xml, "<reg name=\"eip\" bitsize=\"32\" type=\"code_ptr\"/>"));
	expect(!strstr(xml, "r15") && !strstr(xml, "segments") && !strstr(xml, "ymm"));
	expect_equal(registers_xml(wide, small, sizeof(small)), 0);
}

static const struct tap_test tests[] = {
	{ "a whole packet", whole },
	{ "packets that are broken, and what is none", broken },
	{ "a packet that is too long", too_long },
	{ "answers", answers },
	{ "numbers and bytes", numbers },
	{ "registers by number", register_numbers },
	{ "registers of AVX", avx_registers },
	{ "the target's description", description },
};

TAP_MAIN(tests)
