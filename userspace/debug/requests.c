// SPDX-License-Identifier: GPL-2.0-only
/* The requests of GDB's remote protocol: a function for each packet, and their table. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "monitor.h"
#include "packet.h"
#include "registers.h"
#include "session.h"
#include "stops.h"
#include "target.h"
#include "vm/vm.h"

#define XML_MAX		8192

/* struct query - a packet without its name, and the answer */
struct query {
	struct session *s;
	const char *at;
	struct packet *out;
};

/* The registers of the description that the client has, whatever mode the vCPU is in now. */
static bool get_registers(const struct session *s, struct registers *registers)
{
	if (!target_get(s->vm, s->thread, registers))
		return false;
	registers->shape = s->shape;
	return true;
}

/* As i386 the upper halves would be lost, so refuse. */
static bool set_registers(const struct session *s, const struct registers *registers)
{
	return (s->shape.long_mode || !target_is_long(registers)) &&
	       target_set(s->vm, s->thread, registers);
}

/* ---- packets ---------------------------------------------------------------------------- */

/* Threads have numbers from 1; 0 is any, -1 all of them. */
static bool take_thread(struct session *s, const char *at, unsigned int *vcpu)
{
	uint64_t id;

	if (!strcmp(at, "-1") || !strcmp(at, "0")) {
		*vcpu = s->thread;
		return true;
	}
	if (!packet_number(&at, &id) || *at || !id || id > s->vm->nr_vcpus)
		return false;
	*vcpu = (unsigned int)id - 1;
	return true;
}

void requests_put_stop(const struct session *s, struct packet *out)
{
	static const char *const watches[] = { [STOPS_WRITE] = "watch", [STOPS_ACCESS] = "awatch" };
	const struct stop *stop = &s->stop;

	packet_text(out, "T%02xthread:%x;", s->signal, s->thread + 1);
	if (stop->why == GONDOLA_DEBUG_BREAKPOINTS)
		packet_text(out, "swbreak:;");
	else if (stop->why == GONDOLA_DEBUG_HARDWARE && stop->kind == STOPS_EXECUTE)
		packet_text(out, "hwbreak:;");
	else if (stop->why == GONDOLA_DEBUG_HARDWARE)
		packet_text(out, "%s:%llx;", watches[stop->kind], (unsigned long long)stop->address);
}

static void on_stop_reason(struct query *q)
{
	requests_put_stop(q->s, q->out);
}

static void on_all_registers(struct query *q)
{
	struct registers registers;

	if (!get_registers(q->s, &registers)) {
		packet_text(q->out, "E01");
		return;
	}
	for (unsigned int i = 0; registers_put(&registers, i, q->out); i++)
		;
}

static void on_register(struct query *q)
{
	struct registers registers;
	uint64_t number;

	if (!packet_number(&q->at, &number) || *q->at || !get_registers(q->s, &registers) ||
	    number > UINT16_MAX || !registers_put(&registers, (unsigned int)number, q->out))
		packet_text(q->out, "E01");
}

static void put_result(struct packet *out, bool done)
{
	packet_text(out, done ? "OK" : "E01");
}

static void on_set_all_registers(struct query *q)
{
	struct registers registers;
	bool good = get_registers(q->s, &registers);

	for (unsigned int i = 0; good && i < registers_count(registers.shape); i++)
		good = registers_take(&registers, i, &q->at);
	put_result(q->out, good && !*q->at && set_registers(q->s, &registers));
}

static void on_set_register(struct query *q)
{
	struct registers registers;
	uint64_t number;

	put_result(q->out, packet_number(&q->at, &number) && *q->at++ == '=' && number <= UINT16_MAX &&
		   get_registers(q->s, &registers) &&
		   registers_take(&registers, (unsigned int)number, &q->at) && !*q->at &&
		   set_registers(q->s, &registers));
}

/* "ADDRESS,LENGTH" and then @end. */
static bool take_range(const char **at, char end, uint64_t *address, uint64_t *bytes)
{
	return packet_number(at, address) && *(*at)++ == ',' && packet_number(at, bytes) &&
	       *(*at) == end && (!end || (*at)++);
}

static int space_of(const struct session *s)
{
	return s->physical ? TARGET_PHYSICAL : (int)s->thread;
}

static void on_read(struct query *q)
{
	uint8_t data[PACKET_MAX / 2];
	uint64_t address, bytes;
	size_t done;

	if (!take_range(&q->at, 0, &address, &bytes)) {
		packet_text(q->out, "E01");
		return;
	}
	if (bytes > sizeof(data))
		bytes = sizeof(data);
	done = target_read(q->s->vm, space_of(q->s), address, data, bytes);
	if (bytes && !done)
		packet_text(q->out, "E0e");
	packet_hex(q->out, data, done);
}

static void on_write(struct query *q)
{
	uint8_t data[PACKET_MAX / 2];
	uint64_t address, bytes;

	if (!take_range(&q->at, ':', &address, &bytes) || bytes > sizeof(data) ||
	    !packet_bytes(&q->at, data, bytes) || *q->at)
		packet_text(q->out, "E01");
	else if (!target_write(q->s->vm, space_of(q->s), address, data, bytes))
		packet_text(q->out, "E0e");
	else
		packet_text(q->out, "OK");
}

static void on_thread(struct query *q)
{
	unsigned int vcpu;

	if (*q->at != 'g' && *q->at != 'c') {
		packet_text(q->out, "E01");
		return;
	}
	put_result(q->out, take_thread(q->s, q->at + 1, &vcpu));
	if (*q->at == 'g' && take_thread(q->s, q->at + 1, &vcpu))
		q->s->thread = vcpu;
}

static void on_alive(struct query *q)
{
	unsigned int vcpu;

	put_result(q->out, take_thread(q->s, q->at, &vcpu));
}

static void go_on(struct session *s, bool step, unsigned int vcpu)
{
	s->running = true;
	if (step)
		stops_step(vcpu);
	else
		stops_continue();
}

/* Take an action after its ";": "c", "s", "CSIGNAL", "SSIGNAL", and perhaps ":THREAD". */
static bool take_action(struct query *q, bool *step, unsigned int *vcpu)
{
	char kind = *q->at++, id[20] = "";
	uint64_t signal;
	size_t length;

	*step = kind == 's' || kind == 'S';
	if (!*step && kind != 'c' && kind != 'C')
		return false;
	/* Signals are ignored, since a guest has none. */
	if ((kind == 'S' || kind == 'C') && !packet_number(&q->at, &signal))
		return false;
	*vcpu = q->s->thread;
	if (*q->at != ':')
		return !*q->at || *q->at == ';';
	length = strcspn(++q->at, ";");
	if (length >= sizeof(id))
		return false;
	memcpy(id, q->at, length);
	q->at += length;
	return take_thread(q->s, id, vcpu);
}

/* A vCPU that is stepped runs alone, and actions for others wait. */
static void on_resume(struct query *q)
{
	unsigned int vcpu, stepped = q->s->thread;
	bool step, any_step = false, any = false;

	while (*q->at == ';') {
		q->at++;
		if (!take_action(q, &step, &vcpu))
			break;
		any = true;
		if (step && !any_step)
			stepped = vcpu;
		any_step |= step;
	}
	if (*q->at || !any) {
		packet_text(q->out, "E01");
		return;
	}
	q->s->thread = stepped;
	go_on(q->s, any_step, stepped);
}

static void on_resume_actions(struct query *q)
{
	packet_text(q->out, "vCont;c;C;s;S");
}

static void on_step(struct query *q)
{
	if (*q->at)
		packet_text(q->out, "E01");
	else
		go_on(q->s, true, q->s->thread);
}

/* "TYPE,ADDRESS,KIND": 0 is INT3, 1 an instruction, 2 a write, 4 an access of KIND bytes. */
static bool take_breakpoint(struct query *q, char *type, uint64_t *address, uint64_t *bytes)
{
	*type = *q->at;
	return q->at[0] && q->at[1] == ',' && (q->at += 2) && take_range(&q->at, 0, address, bytes);
}

/* x86 cannot watch for reads alone; an empty answer reports this. */
static bool kind_of(char type, enum stops_kind *kind)
{
	if (type != '1' && type != '2' && type != '4')
		return false;
	*kind = type == '1' ? STOPS_EXECUTE : type == '2' ? STOPS_WRITE : STOPS_ACCESS;
	return true;
}

static void on_insert(struct query *q)
{
	enum stops_kind kind;
	uint64_t address, bytes;
	char type;
	int ret;

	if (!take_breakpoint(q, &type, &address, &bytes)) {
		packet_text(q->out, "E01");
		return;
	}
	if (type == '0') {
		packet_text(q->out, stops_insert(q->s->thread, address) ? "OK" : "E0e");
		return;
	}
	if (!kind_of(type, &kind))
		return;
	ret = bytes > 8 ? -EINVAL : stops_watch(kind, address, (unsigned int)bytes);
	if (ret == -EOPNOTSUPP)
		packet_text(q->out, "E.this processor arms no breakpoints for guests");
	else
		packet_text(q->out, ret ? "E%02x" : "OK", (unsigned int)-ret & 0xff);
}

static void on_remove(struct query *q)
{
	enum stops_kind kind;
	uint64_t address, bytes;
	char type;

	if (!take_breakpoint(q, &type, &address, &bytes))
		packet_text(q->out, "E01");
	else if (type == '0')
		put_result(q->out, stops_remove(address));
	else if (kind_of(type, &kind))
		put_result(q->out, bytes <= 8 && stops_unwatch(kind, address, (unsigned int)bytes));
}

static void on_continue(struct query *q)
{
	if (*q->at)
		packet_text(q->out, "E01");
	else
		go_on(q->s, false, 0);
}

static void on_detach(struct query *q)
{
	packet_text(q->out, "OK");
	q->s->leaving = true;
}

/* A debugger does not end a guest: there is "gondola kill". */
static void on_kill(struct query *q)
{
	q->s->leaving = true;
}

/* ---- queries ------------------------------------------------------------------------------ */

static void on_supported(struct query *q)
{
	packet_text(q->out, "PacketSize=%x;QStartNoAckMode+;swbreak+;hwbreak+;vContSupported+;"
		    "qXfer:features:read+", PACKET_MAX);
}

static void on_features(struct query *q)
{
	uint64_t offset, bytes;
	char xml[XML_MAX];
	size_t used;

	if (!take_range(&q->at, 0, &offset, &bytes)) {
		packet_text(q->out, "E01");
		return;
	}
	used = registers_xml(q->s->shape, xml, sizeof(xml));
	if (offset > used)
		offset = used;
	if (bytes > PACKET_MAX / 2)
		bytes = PACKET_MAX / 2;
	if (bytes >= used - offset) {
		bytes = used - offset;
		packet_text(q->out, "l");
	} else {
		packet_text(q->out, "m");
	}
	packet_binary(q->out, xml + offset, bytes);
}

static void on_threads(struct query *q)
{
	for (unsigned int i = 0; i < q->s->vm->nr_vcpus; i++)
		packet_text(q->out, "%s%x", i ? "," : "m", i + 1);
}

static void on_no_more_threads(struct query *q)
{
	packet_text(q->out, "l");
}

static void on_current_thread(struct query *q)
{
	packet_text(q->out, "QC%x", q->s->thread + 1);
}

static void on_thread_words(struct query *q)
{
	unsigned int vcpu;
	char words[32];

	if (!take_thread(q->s, q->at, &vcpu)) {
		packet_text(q->out, "E01");
		return;
	}
	snprintf(words, sizeof(words), "vCPU %u", vcpu);
	packet_hex(q->out, words, strlen(words));
}

static void on_attached(struct query *q)
{
	packet_text(q->out, "1");
}

static void on_monitor(struct query *q)
{
	char command[MONITOR_COMMAND] = "", words[MONITOR_WORDS] = "";
	struct monitor monitor = {
		.vm = q->s->vm, .vcpu = q->s->thread, .physical = &q->s->physical,
		.words = words, .room = sizeof(words),
	};
	size_t bytes = strlen(q->at) / 2;

	if (bytes >= sizeof(command) || !packet_bytes(&q->at, command, bytes) || *q->at) {
		packet_text(q->out, "E01");
		return;
	}
	monitor_run(&monitor, command);
	/* Answer "OK" instead of nothing, since an empty answer means an unknown packet. */
	if (words[0])
		packet_hex(q->out, words, strlen(words));
	else
		packet_text(q->out, "OK");
}

static void on_no_ack(struct query *q)
{
	packet_text(q->out, "OK");
	q->s->no_ack = true;
}

/* The start of a packet, or the whole packet if nothing may follow. */
static const struct {
	const char *name;
	bool whole;
	void (*call)(struct query *q);
} packets[] = {
	{ "qSupported", false, on_supported },
	{ "qXfer:features:read:target.xml:", false, on_features },
	{ "qfThreadInfo", true, on_threads },
	{ "qsThreadInfo", true, on_no_more_threads },
	{ "qThreadExtraInfo,", false, on_thread_words },
	{ "qAttached", false, on_attached },
	{ "qRcmd,", false, on_monitor },
	{ "qC", true, on_current_thread },
	{ "QStartNoAckMode", true, on_no_ack },
	{ "?", true, on_stop_reason },
	{ "g", true, on_all_registers },
	{ "G", false, on_set_all_registers },
	{ "p", false, on_register },
	{ "P", false, on_set_register },
	{ "m", false, on_read },
	{ "M", false, on_write },
	{ "H", false, on_thread },
	{ "T", false, on_alive },
	{ "vCont?", true, on_resume_actions },
	{ "vCont", false, on_resume },
	{ "c", false, on_continue },
	{ "s", false, on_step },
	{ "Z", false, on_insert },
	{ "z", false, on_remove },
	{ "D", true, on_detach },
	{ "k", true, on_kill },
};

static bool is_packet(const struct session *s, const char *name, bool whole)
{
	size_t length = strlen(name);

	return !strncmp(s->reader.data, name, length) && (!whole || s->reader.used == length);
}

void requests_take(struct session *s)
{
	struct packet out = { .used = 0 };
	struct query q = { .s = s, .out = &out };
	const char *data = s->reader.data;

	/* While the guest runs there are no requests. */
	if (s->running)
		return;
	for (size_t i = 0; i < sizeof(packets) / sizeof(packets[0]); i++) {
		if (!is_packet(s, packets[i].name, packets[i].whole))
			continue;
		q.at = data + strlen(packets[i].name);
		packets[i].call(&q);
		/* Packets that run the guest are answered when it stops, and "k" never. */
		if (s->running || packets[i].call == on_kill)
			return;
		break;
	}
	session_answer(s, &out);
}
