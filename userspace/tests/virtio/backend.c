// SPDX-License-Identifier: GPL-2.0-only
#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <linux/virtio_blk.h>

#include "backend.h"
#include "driver.h"

#define MAX_FDS		8
#define MAX_PAYLOAD	512
#define REPLY		4u
#define NEED_REPLY	8u

/* Numbers of the protocol. */
enum {
	GET_FEATURES = 1, SET_MEM_TABLE = 5, SET_VRING_NUM = 8, SET_VRING_ADDR = 9,
	SET_VRING_BASE = 10, GET_VRING_BASE = 11, SET_VRING_KICK = 12, SET_VRING_CALL = 13,
	GET_PROTOCOL_FEATURES = 15, GET_CONFIG = 24,
};

struct message {
	uint32_t request, flags, bytes;
	uint8_t payload[MAX_PAYLOAD];
} __attribute__((packed));

/* As they stand in SET_MEM_TABLE. */
struct region {
	uint64_t gpa, bytes, address, offset;
};

static struct backend {
	enum backend_manner manner;
	char path[108];
	int listener, socket, stop;
	int kick, call;
	pthread_t thread;
	struct region regions[MAX_FDS];
	uint8_t *mapped[MAX_FDS];
	unsigned int nr_regions;
	uint32_t size;
	uint64_t addresses[3];		/* descriptors, used, available */
	uint16_t next;
	bool running;
	unsigned int taken, starts;
	uint8_t disk[BACKEND_BYTES];
} backend;

static void *at_gpa(uint64_t gpa)
{
	for (unsigned int i = 0; i < backend.nr_regions; i++)
		if (gpa - backend.regions[i].gpa < backend.regions[i].bytes)
			return backend.mapped[i] + gpa - backend.regions[i].gpa;
	return NULL;
}

static void *at_address(uint64_t address)
{
	for (unsigned int i = 0; i < backend.nr_regions; i++)
		if (address - backend.regions[i].address < backend.regions[i].bytes)
			return backend.mapped[i] + address - backend.regions[i].address;
	return NULL;
}

/* ---- requests --------------------------------------------------------------------------- */

/* One data descriptor at most, as disk_request() makes them. */
static void serve_disk(const struct vring_desc *table, uint16_t head)
{
	const struct virtio_blk_outhdr *header = at_gpa(table[head].addr);
	const struct vring_desc *data = NULL, *at = &table[table[head].next];
	uint8_t *memory;

	if (at->flags & NEXT) {
		data = at;
		at = &table[at->next];
	}
	memory = data ? at_gpa(data->addr) : NULL;
	if (memory && header->type == VIRTIO_BLK_T_IN)
		memcpy(memory, backend.disk + 512 * header->sector, data->len);
	else if (memory && header->type == VIRTIO_BLK_T_OUT)
		memcpy(backend.disk + 512 * header->sector, memory, data->len);
	*(uint8_t *)at_gpa(at->addr) = 0;
}

static bool is_flush(const struct vring_desc *table, uint16_t head)
{
	const struct virtio_blk_outhdr *header = at_gpa(table[head].addr);

	return header->type == VIRTIO_BLK_T_FLUSH;
}

static void put_used(uint32_t id, uint16_t count)
{
	struct vring_used *used = at_address(backend.addresses[1]);
	uint64_t one = 1;

	used->ring[used->idx % backend.size] = (struct vring_used_elem){ .id = id };
	__atomic_store_n(&used->idx, used->idx + count, __ATOMIC_SEQ_CST);
	assert(write(backend.call, &one, sizeof(one)) == 8);
}

/* False: that was its end. */
static bool serve_one(uint16_t head)
{
	switch (backend.manner) {
	case BACKEND_DIES:
		return false;
	case BACKEND_KEEPS:
		return true;
	case BACKEND_KEEPS_FLUSH:
		if (is_flush(at_address(backend.addresses[0]), head))
			return true;
		break;
	case BACKEND_INVENTS:
		put_used(head ? 0 : 200, 1);
		return true;
	case BACKEND_COUNTS:
		put_used(head, 1000);
		return true;
	case BACKEND_CHATTERS:
		return send(backend.socket, "hello", 5, MSG_NOSIGNAL) == 5;
	default:
		break;
	}
	serve_disk(at_address(backend.addresses[0]), head);
	put_used(head, 1);
	if (backend.manner == BACKEND_DOUBLES)
		put_used(head, 1);
	return true;
}

static bool serve_ring(void)
{
	const uint16_t *avail = at_address(backend.addresses[2]);
	uint16_t idx = __atomic_load_n(&avail[1], __ATOMIC_ACQUIRE);
	uint16_t heads[256];
	unsigned int count = 0;

	/* Four come together, see reversed(). */
	if (backend.manner == BACKEND_REVERSES && (uint16_t)(idx - backend.next) < 4)
		return true;
	for (; backend.next != idx && count < 256; backend.next++)
		heads[count++] = avail[2 + backend.next % backend.size];
	for (unsigned int i = 0; i < count; i++)
		if (!serve_one(heads[backend.manner == BACKEND_REVERSES ? count - 1 - i : i]))
			return false;
	__atomic_fetch_add(&backend.taken, count, __ATOMIC_SEQ_CST);
	return true;
}

/* ---- messages --------------------------------------------------------------------------- */

static ssize_t receive(struct message *message, int *fds, unsigned int *nr_fds)
{
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(MAX_FDS * sizeof(int))];
	} ancillary;
	struct iovec data = { message, 12 };
	struct msghdr in = {
		.msg_iov = &data, .msg_iovlen = 1, .msg_control = &ancillary,
		.msg_controllen = sizeof(ancillary),
	};
	ssize_t got = recvmsg(backend.socket, &in, MSG_CMSG_CLOEXEC);
	struct cmsghdr *c = CMSG_FIRSTHDR(&in);

	*nr_fds = 0;
	if (got != 12)
		return -1;
	if (c && c->cmsg_type == SCM_RIGHTS) {
		*nr_fds = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		memcpy(fds, CMSG_DATA(c), *nr_fds * sizeof(int));
	}
	assert(message->bytes <= MAX_PAYLOAD);
	return message->bytes ?
	       recv(backend.socket, message->payload, message->bytes, MSG_WAITALL) : 0;
}

static void reply(struct message *message, const void *payload, uint32_t bytes)
{
	message->flags = 1 | REPLY;
	message->bytes = bytes;
	memmove(message->payload, payload, bytes);
	if (send(backend.socket, message, 12 + bytes, MSG_NOSIGNAL) < 0)
		expect_equal(errno, EPIPE);
}

static void answer_features(struct message *message)
{
	uint64_t features = BIT64(30) | BIT64(VIRTIO_F_VERSION_1) | BIT64(VIRTIO_BLK_F_FLUSH) |
			    BIT64(VIRTIO_BLK_F_MQ) | EVENT_IDX;

	if (backend.manner == BACKEND_READONLY)
		features |= BIT64(VIRTIO_BLK_F_RO);
	if (backend.manner == BACKEND_LEGACY)
		features &= ~BIT64(VIRTIO_F_VERSION_1);
	if (backend.manner == BACKEND_OTHER)
		message->request = GET_CONFIG;
	reply(message, &features, backend.manner == BACKEND_HALF ? 4 : 8);
}

static void answer_config(struct message *message)
{
	struct virtio_blk_config config = {
		.capacity = BACKEND_BYTES / 512 / (backend.manner == BACKEND_SMALLER ? 2 : 1),
		.seg_max = 1000, .num_queues = 7,
	};

	memcpy(message->payload + 12, &config, message->bytes - 12);
	reply(message, message->payload, backend.manner == BACKEND_SHORT_CONFIG ? 0 :
	      message->bytes + (backend.manner == BACKEND_LONG ? 8 : 0));
}

static void forget_memory(void)
{
	for (unsigned int i = 0; i < backend.nr_regions; i++)
		munmap(backend.mapped[i], backend.regions[i].bytes);
	backend.nr_regions = 0;
}

static void take_memory(const struct message *message, const int *fds, unsigned int nr_fds)
{
	forget_memory();
	memcpy(&backend.nr_regions, message->payload, 4);
	assert(backend.nr_regions == nr_fds);
	memcpy(backend.regions, message->payload + 8, nr_fds * sizeof(backend.regions[0]));
	for (unsigned int i = 0; i < nr_fds; i++) {
		const struct region *region = &backend.regions[i];

		backend.mapped[i] = mmap(NULL, region->bytes, PROT_READ | PROT_WRITE, MAP_SHARED,
					 fds[i], region->offset);
		assert(backend.mapped[i] != MAP_FAILED);
		/* It cannot make the launcher's memory shorter. */
		expect(ftruncate(fds[i], 0));
		close(fds[i]);
	}
}

static void take_fd(int *to, const int *fds, unsigned int nr_fds)
{
	assert(nr_fds == 1);
	if (*to >= 0)
		close(*to);
	*to = fds[0];
}

static void take(struct message *message, const int *fds, unsigned int nr_fds)
{
	uint64_t no = backend.manner == BACKEND_REFUSES && message->request == SET_VRING_ADDR;
	uint32_t state[2];

	memcpy(state, message->payload, sizeof(state));
	if (message->request == SET_MEM_TABLE)
		take_memory(message, fds, nr_fds);
	else if (message->request == SET_VRING_NUM)
		backend.size = state[1];
	else if (message->request == SET_VRING_BASE)
		backend.next = state[1];
	else if (message->request == SET_VRING_ADDR)
		memcpy(backend.addresses, message->payload + 8, sizeof(backend.addresses));
	else if (message->request == SET_VRING_CALL)
		take_fd(&backend.call, fds, nr_fds);
	else if (message->request == SET_VRING_KICK)
		take_fd(&backend.kick, fds, nr_fds);
	if (message->request == SET_VRING_KICK) {
		backend.running = true;
		__atomic_fetch_add(&backend.starts, 1, __ATOMIC_SEQ_CST);
	}
	if (message->flags & NEED_REPLY &&
	    !(backend.manner == BACKEND_FORGETS && message->request == SET_VRING_ADDR))
		reply(message, &no, 8);
}

static bool serve_message(void)
{
	struct message message;
	uint64_t protocol = BIT64(3) | BIT64(9) | BIT64(0);
	uint32_t base[2] = { 0, backend.next };
	unsigned int nr_fds;
	int fds[MAX_FDS];

	if (receive(&message, fds, &nr_fds) < 0)
		return false;
	if (backend.manner == BACKEND_SILENT)
		return true;
	if (backend.manner == BACKEND_NO_CONFIG)
		protocol &= ~BIT64(9);
	if (message.request == GET_FEATURES) {
		answer_features(&message);
	} else if (message.request == GET_PROTOCOL_FEATURES) {
		reply(&message, &protocol, 8);
	} else if (message.request == GET_CONFIG) {
		answer_config(&message);
	} else if (message.request == GET_VRING_BASE) {
		backend.running = false;
		reply(&message, base, sizeof(base));
	} else {
		take(&message, fds, nr_fds);
	}
	return true;
}

static void *run(void *argument)
{
	struct pollfd fds[3] = { { .fd = backend.listener, .events = POLLIN } };

	(void)argument;
	fds[1] = (struct pollfd){ .fd = backend.stop, .events = POLLIN };
	poll(fds, 2, -1);
	if (fds[1].revents)
		return NULL;
	backend.socket = accept4(backend.listener, NULL, NULL, SOCK_CLOEXEC);
	while (backend.manner != BACKEND_HANGS_UP) {
		uint64_t kicks;

		fds[0].fd = backend.socket;
		fds[2] = (struct pollfd){ .fd = backend.running ? backend.kick : -1,
					  .events = POLLIN };
		poll(fds, 3, -1);
		if (fds[1].revents || (fds[0].revents && !serve_message()))
			break;
		if (fds[2].revents && (read(backend.kick, &kicks, 8) != 8 || !serve_ring()))
			break;
	}
	shutdown(backend.socket, SHUT_RDWR);
	/* As when a process dies: nobody can connect. */
	close(backend.listener);
	backend.listener = -1;
	return NULL;
}

void backend_start(const char *path, enum backend_manner manner)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	backend = (struct backend){
		.manner = manner, .socket = -1, .kick = -1, .call = -1,
		.listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0),
		.stop = eventfd(0, EFD_CLOEXEC),
	};
	for (unsigned int i = 0; i < BACKEND_BYTES; i++)
		backend.disk[i] = i / 512 + i;
	strcpy(backend.path, path);
	strcpy(address.sun_path, path);
	unlink(path);
	require_equal(bind(backend.listener, (struct sockaddr *)&address, sizeof(address)), 0);
	require_equal(listen(backend.listener, 1), 0);
	require_equal(pthread_create(&backend.thread, NULL, run, NULL), 0);
}

void backend_end(void)
{
	uint64_t one = 1;

	require_equal(write(backend.stop, &one, sizeof(one)), 8);
	pthread_join(backend.thread, NULL);
	forget_memory();
	for (const int *fd = (int[]){ backend.listener, backend.socket, backend.stop, backend.kick,
				      backend.call, -2 }; *fd != -2; fd++)
		if (*fd >= 0)
			close(*fd);
	unlink(backend.path);
}

unsigned int backend_taken(void)
{
	return __atomic_load_n(&backend.taken, __ATOMIC_SEQ_CST);
}

bool backend_wait(unsigned int count)
{
	for (int i = 0; i < PATIENCE_MS && backend_taken() < count; i++)
		usleep(1000);
	return backend_taken() >= count;
}

unsigned int backend_starts(void)
{
	return __atomic_load_n(&backend.starts, __ATOMIC_SEQ_CST);
}

uint8_t backend_byte(unsigned int at)
{
	return backend.disk[at];
}
