// SPDX-License-Identifier: GPL-2.0-only
/*
 * A 16550A UART.  Output is sent at once and the transmitter is empty, unless the console's reader
 * is slow: then the guest waits, as with a real port.  Input waits in the console until the guest
 * listens.
 */
#include <string.h>
#include <linux/serial_reg.h>

#include "device.h"
#include "state.h"
#include "vm/console.h"
#include "vm/vm.h"

#define FIFO_SIZE	16
#define MODEM_READY	(UART_MSR_DCD | UART_MSR_DSR | UART_MSR_CTS)

struct serial {
	struct irq_line irq;
	struct console *console;
	uint8_t ier, fcr, lcr, mcr, scratch;
	uint8_t divisor_low, divisor_high;
	uint8_t errors;			/* LSR bits that a read clears */
	uint8_t modem;			/* MSR with the changes since the last read */
	bool thr_interrupt;		/* the guest has not seen "transmitter empty" yet */
	bool waits;			/* the transmitter is not empty: the console has no room */
	uint8_t fifo[FIFO_SIZE];
	unsigned int first, count;
};

static uint8_t modem_lines(const struct serial *serial)
{
	uint8_t lines = 0;

	if (!(serial->mcr & UART_MCR_LOOP))
		return MODEM_READY;
	if (serial->mcr & UART_MCR_RTS)
		lines |= UART_MSR_CTS;
	if (serial->mcr & UART_MCR_DTR)
		lines |= UART_MSR_DSR;
	if (serial->mcr & UART_MCR_OUT1)
		lines |= UART_MSR_RI;
	if (serial->mcr & UART_MCR_OUT2)
		lines |= UART_MSR_DCD;
	return lines;
}

static void update_modem(struct serial *serial)
{
	uint8_t now = modem_lines(serial), changed = (serial->modem ^ now) & 0xf0;

	serial->modem = (serial->modem & 0x0f) | now;
	if (changed & UART_MSR_CTS)
		serial->modem |= UART_MSR_DCTS;
	if (changed & UART_MSR_DSR)
		serial->modem |= UART_MSR_DDSR;
	if ((changed & UART_MSR_RI) && !(now & UART_MSR_RI))
		serial->modem |= UART_MSR_TERI;
	if (changed & UART_MSR_DCD)
		serial->modem |= UART_MSR_DDCD;
}

/* The most urgent cause, in IIR's coding. */
static uint8_t cause(const struct serial *serial)
{
	if ((serial->ier & UART_IER_RLSI) && serial->errors)
		return UART_IIR_RLSI;
	if ((serial->ier & UART_IER_RDI) && serial->count)
		return UART_IIR_RDI;
	if ((serial->ier & UART_IER_THRI) && serial->thr_interrupt)
		return UART_IIR_THRI;
	if ((serial->ier & UART_IER_MSI) && (serial->modem & 0x0f))
		return UART_IIR_MSI;
	return UART_IIR_NO_INT;
}

/* In loopback mode the interrupt pin is disconnected, too. */
static bool wants_irq(const struct serial *serial)
{
	return cause(serial) != UART_IIR_NO_INT && !(serial->mcr & UART_MCR_LOOP);
}

static void update_irq(struct serial *serial)
{
	irq_line_set(&serial->irq, wants_irq(serial));
}

/* The console's buffer serves as transmitter.  It counts as empty if a full FIFO fits in. */
static void look_at_transmitter(struct serial *serial)
{
	bool waited = serial->waits;

	serial->waits = !console_room(serial->console);
	if (waited && !serial->waits)
		serial->thr_interrupt = true;
}

static void receive(struct serial *serial, uint8_t c)
{
	unsigned int size = serial->fcr & UART_FCR_ENABLE_FIFO ? FIFO_SIZE : 1;

	if (serial->count >= size) {
		serial->errors |= UART_LSR_OE;
		return;
	}
	serial->fifo[(serial->first + serial->count++) % FIFO_SIZE] = c;
}

static uint8_t read_data(struct serial *serial)
{
	uint8_t c = 0;

	if (serial->count) {
		c = serial->fifo[serial->first];
		serial->first = (serial->first + 1) % FIFO_SIZE;
		serial->count--;
	}
	if (!serial->count)
		console_more(serial->console);
	return c;
}

static uint64_t serial_read(void *device, uint64_t offset, unsigned int bytes)
{
	struct serial *serial = device;
	uint8_t value = 0xff;

	(void)bytes;
	switch (offset) {
	case UART_RX:
		value = serial->lcr & UART_LCR_DLAB ? serial->divisor_low : read_data(serial);
		break;
	case UART_IER:
		value = serial->lcr & UART_LCR_DLAB ? serial->divisor_high : serial->ier;
		break;
	case UART_IIR:
		value = cause(serial);
		if (value == UART_IIR_THRI)
			serial->thr_interrupt = false;
		if (serial->fcr & UART_FCR_ENABLE_FIFO)
			value |= 0xc0;
		break;
	case UART_LCR:
		value = serial->lcr;
		break;
	case UART_MCR:
		value = serial->mcr;
		break;
	case UART_LSR:
		look_at_transmitter(serial);
		value = (serial->waits ? 0 : UART_LSR_THRE | UART_LSR_TEMT) | serial->errors;
		if (serial->count)
			value |= UART_LSR_DR;
		serial->errors = 0;
		break;
	case UART_MSR:
		value = serial->modem;
		serial->modem &= 0xf0;
		break;
	case UART_SCR:
		return serial->scratch;
	}
	update_irq(serial);
	return value;
}

static void write_fifo_control(struct serial *serial, uint8_t value)
{
	/* Switching the FIFO on or off clears it. */
	if ((value ^ serial->fcr) & UART_FCR_ENABLE_FIFO || value & UART_FCR_CLEAR_RCVR)
		serial->count = 0;
	console_more(serial->console);
	serial->fcr = value & ~(UART_FCR_CLEAR_RCVR | UART_FCR_CLEAR_XMIT);
}

static void write_interrupt_enable(struct serial *serial, uint8_t value)
{
	/* If the transmitter is empty, enabling its interrupt raises it at once. */
	if (value & ~serial->ier & UART_IER_THRI && !serial->waits)
		serial->thr_interrupt = true;
	serial->ier = value & 0x0f;
	if (serial->ier & UART_IER_RDI)
		console_more(serial->console);
}

static void serial_write(void *device, uint64_t offset, uint64_t data, unsigned int bytes)
{
	struct serial *serial = device;
	uint8_t value = data;

	(void)bytes;
	switch (offset) {
	case UART_TX:
		if (serial->lcr & UART_LCR_DLAB) {
			serial->divisor_low = value;
			break;
		}
		serial->thr_interrupt = true;
		if (serial->mcr & UART_MCR_LOOP) {
			receive(serial, value);
			break;
		}
		console_put(serial->console, (char)value);
		look_at_transmitter(serial);
		if (serial->waits)
			serial->thr_interrupt = false;
		break;
	case UART_IER:
		if (serial->lcr & UART_LCR_DLAB)
			serial->divisor_high = value;
		else
			write_interrupt_enable(serial, value);
		break;
	case UART_FCR:
		write_fifo_control(serial, value);
		break;
	case UART_LCR:
		serial->lcr = value;
		break;
	case UART_MCR:
		serial->mcr = value & 0x1f;
		update_modem(serial);
		console_more(serial->console);
		break;
	case UART_SCR:
		serial->scratch = value;
		return;
	}
	update_irq(serial);
}

/*
 * A driver clears the port when it starts.  To keep what the user typed before, the port takes only
 * one character at a time, for polling, while receive interrupts are off.
 */
static size_t room(void *device)
{
	struct serial *serial = device;

	if (serial->mcr & UART_MCR_LOOP || devices_frozen())
		return 0;
	if ((serial->ier & UART_IER_RDI) && (serial->fcr & UART_FCR_ENABLE_FIFO))
		return FIFO_SIZE - serial->count;
	return serial->count ? 0 : 1;
}

static void input(void *device, const char *data, size_t count)
{
	struct serial *serial = device;

	while (count--)
		receive(serial, (uint8_t)*data++);
	update_irq(serial);
}

static void drained(void *device)
{
	struct serial *serial = device;

	look_at_transmitter(serial);
	if (!devices_frozen())
		update_irq(serial);
}

/* ---- saved state ---------------------------------------------------------------- */

static void thaw(void *device)
{
	struct serial *serial = device;

	irq_line_restore(&serial->irq, wants_irq(serial));
	console_more(serial->console);
}

static void save(void *device, struct state_writer *out)
{
	const struct serial *serial = device;
	uint8_t fifo[FIFO_SIZE];

	state_put(out, "ier", 1, serial->ier);
	state_put(out, "fcr", 1, serial->fcr);
	state_put(out, "lcr", 1, serial->lcr);
	state_put(out, "mcr", 1, serial->mcr);
	state_put(out, "scratch", 1, serial->scratch);
	state_put(out, "divisor", 2, serial->divisor_low | serial->divisor_high << 8);
	state_put(out, "errors", 1, serial->errors);
	state_put(out, "modem", 1, serial->modem);
	/* The new console has room. */
	state_put(out, "thr_interrupt", 1, serial->thr_interrupt || serial->waits);
	for (unsigned int i = 0; i < serial->count; i++)
		fifo[i] = serial->fifo[(serial->first + i) % FIFO_SIZE];
	state_put_bytes(out, "fifo", fifo, serial->count);
}

static bool load(void *device, struct state_reader *in)
{
	struct serial *serial = device, new = { .irq = serial->irq, .console = serial->console };
	const void *fifo;
	uint16_t divisor;
	size_t count;

	new.ier = state_take(in, "ier", 1, 0x0f);
	new.fcr = state_take(in, "fcr", 1, 0xff);
	if (new.fcr & (UART_FCR_CLEAR_RCVR | UART_FCR_CLEAR_XMIT))
		state_refuse(in, "fcr", "the bits that clear a FIFO do not stay set");
	new.lcr = state_take(in, "lcr", 1, 0xff);
	new.mcr = state_take(in, "mcr", 1, 0x1f);
	new.scratch = state_take(in, "scratch", 1, 0xff);
	divisor = state_take(in, "divisor", 2, 0xffff);
	new.divisor_low = divisor & 0xff;
	new.divisor_high = divisor >> 8;
	new.errors = state_take(in, "errors", 1, 0xff);
	if (new.errors & ~UART_LSR_OE)
		state_refuse(in, "errors", "this port knows no error but an overrun");
	new.modem = state_take(in, "modem", 1, 0xff);
	new.thr_interrupt = state_take(in, "thr_interrupt", 1, 1);
	fifo = state_take_some(in, "fifo", new.fcr & UART_FCR_ENABLE_FIFO ? FIFO_SIZE : 1, &count);
	if (!state_end(in))
		return false;
	if (count)
		memcpy(new.fifo, fifo, count);
	new.count = count;
	*serial = new;
	return true;
}

static const struct device_state_ops state = {
	.name = "serial", .version = 1, .save = save, .load = load, .thaw = thaw,
};

void serial_create(struct vm *vm, struct console *console)
{
	static const struct bus_ops ops = { .read = serial_read, .write = serial_write };
	static const struct console_guest guest = {
		.room = room, .input = input, .drained = drained,
	};
	struct serial *serial = device_alloc(sizeof(*serial));

	serial->irq = (struct irq_line){ .vm = vm, .gsi = SERIAL_IRQ };
	serial->console = console;
	serial->modem = MODEM_READY;
	serial->divisor_low = 1;
	vm_add_pio(vm, SERIAL_PORT, 8, 1, &ops, serial);
	console_connect(console, &guest, serial);
	device_register(&state, 0, serial);
}
