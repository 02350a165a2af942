// SPDX-License-Identifier: GPL-2.0-only
/*
 * A keyboard controller without a keyboard: it answers commands, so that a driver quickly finds
 * none, and its reset line resets the machine.
 */
#include "device.h"
#include "state.h"
#include "vm/vm.h"

#define DATA_PORT	0x60
#define COMMAND_PORT	0x64

#define STATUS_OUTPUT	0x01		/* a byte waits at the data port */
#define STATUS_SELF_TEST 0x04
#define STATUS_COMMAND	0x08		/* the last byte was written to the command port */
#define STATUS_UNLOCKED	0x10
#define STATUS_AUX	0x20		/* the byte is the mouse's */
#define STATUS_TIMEOUT	0x40

#define MODE_KEYBOARD_OFF	0x10
#define MODE_AUX_OFF		0x20
#define OUTPUT_NO_RESET		0x01	/* in the controller's output port */
#define OUTPUT_A20		0x02

enum {
	CMD_READ_MODE = 0x20,
	CMD_WRITE_MODE = 0x60,
	CMD_AUX_OFF = 0xa7,
	CMD_AUX_ON = 0xa8,
	CMD_AUX_TEST = 0xa9,
	CMD_SELF_TEST = 0xaa,
	CMD_KEYBOARD_TEST = 0xab,
	CMD_KEYBOARD_OFF = 0xad,
	CMD_KEYBOARD_ON = 0xae,
	CMD_READ_OUTPUT = 0xd0,
	CMD_WRITE_OUTPUT = 0xd1,
	CMD_LOOP_KEYBOARD = 0xd2,
	CMD_LOOP_AUX = 0xd3,
	CMD_WRITE_AUX = 0xd4,
	CMD_PULSE = 0xf0,		/* … 0xff: pulse output lines, those with a bit of 0 */
};

#define SELF_TEST_OK	0x55
#define TEST_CLOCK_LOW	0x01		/* no device at this port */
#define NO_ANSWER	0xfe

struct i8042 {
	struct vm *vm;
	uint8_t status;
	uint8_t mode;
	uint8_t output;			/* the byte at the data port */
	uint8_t expects;		/* command that waits for its argument, or 0 */
};

static void reset(struct i8042 *chip)
{
	vm_end(chip->vm, VM_RESET, "the guest reset itself (keyboard controller)");
}

static void answer(struct i8042 *chip, uint8_t value, uint8_t flags)
{
	chip->output = value;
	chip->status = (chip->status & ~(STATUS_AUX | STATUS_TIMEOUT)) | STATUS_OUTPUT | flags;
}

static bool has_argument(uint8_t value)
{
	return value == CMD_WRITE_MODE || (value >= CMD_WRITE_OUTPUT && value <= CMD_WRITE_AUX);
}

static void command(struct i8042 *chip, uint8_t value)
{
	chip->expects = has_argument(value) ? value : 0;
	switch (value) {
	case CMD_READ_MODE:
		answer(chip, chip->mode, 0);
		break;
	case CMD_AUX_OFF:
		chip->mode |= MODE_AUX_OFF;
		break;
	case CMD_AUX_ON:
		chip->mode &= ~MODE_AUX_OFF;
		break;
	case CMD_SELF_TEST:
		chip->status |= STATUS_SELF_TEST;
		answer(chip, SELF_TEST_OK, 0);
		break;
	case CMD_AUX_TEST:
	case CMD_KEYBOARD_TEST:
		answer(chip, TEST_CLOCK_LOW, 0);
		break;
	case CMD_KEYBOARD_OFF:
		chip->mode |= MODE_KEYBOARD_OFF;
		break;
	case CMD_KEYBOARD_ON:
		chip->mode &= ~MODE_KEYBOARD_OFF;
		break;
	case CMD_READ_OUTPUT:
		answer(chip, OUTPUT_NO_RESET | OUTPUT_A20, 0);
		break;
	default:
		if (value >= CMD_PULSE && !(value & OUTPUT_NO_RESET))
			reset(chip);
	}
}

static void argument(struct i8042 *chip, uint8_t value)
{
	switch (chip->expects) {
	case CMD_WRITE_MODE:
		chip->mode = value;
		break;
	case CMD_WRITE_OUTPUT:
		if (!(value & OUTPUT_NO_RESET))
			reset(chip);
		break;
	case CMD_LOOP_KEYBOARD:
		answer(chip, value, 0);
		break;
	case CMD_LOOP_AUX:
		answer(chip, value, STATUS_AUX);
		break;
	case CMD_WRITE_AUX:
		answer(chip, NO_ANSWER, STATUS_AUX | STATUS_TIMEOUT);
		break;
	default:	/* for the keyboard, which does not exist */
		answer(chip, NO_ANSWER, STATUS_TIMEOUT);
	}
	chip->expects = 0;
}

static uint64_t data_read(void *device, uint64_t offset, unsigned int bytes)
{
	struct i8042 *chip = device;

	(void)offset;
	(void)bytes;
	chip->status &= ~(STATUS_OUTPUT | STATUS_AUX | STATUS_TIMEOUT);
	return chip->output;
}

static void data_write(void *device, uint64_t offset, uint64_t value, unsigned int bytes)
{
	struct i8042 *chip = device;

	(void)offset;
	(void)bytes;
	chip->status &= ~STATUS_COMMAND;
	argument(chip, value);
}

static uint64_t command_read(void *device, uint64_t offset, unsigned int bytes)
{
	struct i8042 *chip = device;

	(void)offset;
	(void)bytes;
	return chip->status;
}

static void command_write(void *device, uint64_t offset, uint64_t value, unsigned int bytes)
{
	struct i8042 *chip = device;

	(void)offset;
	(void)bytes;
	chip->status |= STATUS_COMMAND;
	command(chip, value);
}

static void save(void *device, struct state_writer *out)
{
	const struct i8042 *chip = device;

	state_put(out, "status", 1, chip->status);
	state_put(out, "mode", 1, chip->mode);
	state_put(out, "output", 1, chip->output);
	state_put(out, "expects", 1, chip->expects);
}

static bool load(void *device, struct state_reader *in)
{
	struct i8042 *chip = device, new = { .vm = chip->vm };

	new.status = state_take(in, "status", 1, 0x7f);
	new.mode = state_take(in, "mode", 1, 0xff);
	new.output = state_take(in, "output", 1, 0xff);
	new.expects = state_take(in, "expects", 1, 0xff);
	if (new.expects && !has_argument(new.expects))
		state_refuse(in, "expects", "command 0x%02x has no argument", new.expects);
	if (!state_end(in))
		return false;
	*chip = new;
	return true;
}

static const struct device_state_ops state = {
	.name = "i8042", .version = 1, .save = save, .load = load,
};

void i8042_create(struct vm *vm)
{
	static const struct bus_ops data = { .read = data_read, .write = data_write };
	static const struct bus_ops control = { .read = command_read, .write = command_write };
	struct i8042 *chip = device_alloc(sizeof(*chip));

	chip->vm = vm;
	chip->status = STATUS_UNLOCKED;
	chip->mode = MODE_KEYBOARD_OFF | MODE_AUX_OFF;
	/* Port 0x61, between them, belongs to the timer. */
	vm_add_pio(vm, DATA_PORT, 1, 1, &data, chip);
	vm_add_pio(vm, COMMAND_PORT, 1, 1, &control, chip);
	device_register(&state, 0, chip);
}
