// SPDX-License-Identifier: GPL-2.0-only
/*
 * A disk that another program serves, by vhost-user: the user's, or one that is started for it.
 *
 * The device's thread takes requests from the guest's queue as it does for any device, and hands
 * them on through a ring of its own (shadow.h).  So what a back-end has in its hands is known, and
 * another gets it once that is gone.
 *
 * A back-end may have a cache that dies with it, as those of qcow2's tables do.  So the guest gets a
 * disk without a cache: what was written is held until a flush has followed it, one for as many
 * writes as there are meanwhile.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>

#include "base/wait.h"
#include "sandbox/keeper.h"
#include "devices.h"
#include "shadow.h"
#include "storage.h"
#include "vhost_user.h"

#define BIT64(n)	(1ull << (n))
#define CONFIG_BYTES	60u	/* up to what write-zeroes may do; older back-ends know no more */
/* What a driver can use without another message to the back-end. */
#define KNOWN_FEATURES	(BIT64(VIRTIO_BLK_F_SIZE_MAX) | BIT64(VIRTIO_BLK_F_SEG_MAX) | \
			 BIT64(VIRTIO_BLK_F_GEOMETRY) | BIT64(VIRTIO_BLK_F_RO) | \
			 BIT64(VIRTIO_BLK_F_BLK_SIZE) | BIT64(VIRTIO_BLK_F_FLUSH) | \
			 BIT64(VIRTIO_BLK_F_TOPOLOGY) | BIT64(VIRTIO_BLK_F_DISCARD) | \
			 BIT64(VIRTIO_BLK_F_WRITE_ZEROES))
/* Of the ring, in the back-end's eyes: no driver can have memory there. */
#define SHADOW_GPA	(2 * MEMORY_MAX)
#define RETRY_MS	200	/* between two tries to find another back-end */
#define RARE_MS		2000	/* once requests fail */
#define MAX_DEATHS	5u	/* of back-ends that die without having done anything */

int vhost_blk_window_ms = 10000;

/**
 * struct vhost_blk - a disk
 * @peer: the back-end; its socket is closed (-1) while there is none
 * @note: the keeper's, to connect to it
 * @image: it is a program that is started for this disk
 * @config: what the driver knows of the disk
 * @flushes: back-ends have known flushes
 * @shadow: the ring that it serves
 * @flush: the launcher's own request, and @flushing: the back-end has it
 * @kick_fd, @call_fd: see struct vhost_user_ring
 * @started: it serves the ring
 * @away: it is gone since @since, and the next try to find another is at @next_try (ms)
 * @failing: requests end in errors until there is another
 * @lost: it was given up for good
 * @deaths: how many went one after the other without having done a request
 */
struct vhost_blk {
	struct virtio_device device;
	struct vhost_user peer;
	int note;
	bool image;
	struct virtio_blk_config config;
	bool flushes;
	struct shadow shadow;
	struct queue_chain flush;
	bool flushing;
	int kick_fd;
	int call_fd;
	bool started;
	bool away;
	bool failing;
	bool lost;
	int64_t since;
	int64_t next_try;
	unsigned int deaths;
};

static struct vhost_blk *to_blk(struct virtio_device *device)
{
	return (struct vhost_blk *)device;
}

static void clear_event(int fd)
{
	uint64_t count;

	while (read(fd, &count, sizeof(count)) < 0 && errno == EINTR)
		;
}

static void signal_event(int fd)
{
	uint64_t one = 1;

	while (write(fd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

/* ---- answers -------------------------------------------------------------------------- */

static void put_error(struct virtio_device *device, const struct queue_chain *chain)
{
	const uint8_t status = VIRTIO_BLK_S_IOERR;

	chain_write(chain, chain->in_bytes - 1, &status, 1);
	block_count(device, chain, 0, status);
}

/* A guest that changes its requests meanwhile has wrong metrics, of itself alone. */
static void count(struct virtio_device *device, const struct queue_chain *chain)
{
	struct iovec iov[QUEUE_MAX_SEGMENTS];
	struct virtio_blk_outhdr header;

	chain_read(chain, 0, &header, sizeof(header));
	chain_slice(chain, true, chain->in_bytes - 1, 1, iov);
	block_count(device, chain, header.type, *(const uint8_t *)iov[0].iov_base);
}

/* Back to the guest, if the queue still wants it: after a reset these bytes are the driver's own again. */
static void finish(struct vhost_blk *blk, const struct queue_chain *chain, bool good)
{
	if (!queue_owns(&blk->device.queues[0], chain->generation))
		;
	else if (good)
		count(&blk->device, chain);
	else
		put_error(&blk->device, chain);
	/*
	 * All that a request has room for may have been written, whatever the back-end says: the dirty
	 * log gets all of it.
	 */
	virtio_push_other(&blk->device, 0, chain, chain->in_bytes);
	shadow_land(&blk->shadow, chain);
}

static bool is_own(const struct vhost_blk *blk, const struct queue_chain *chain)
{
	return chain->gpa[0] == blk->flush.gpa[0];
}

/* Nobody has these any more; @back: the guest hears of it. */
static void drop_all(struct vhost_blk *blk, bool back)
{
	const struct queue_chain *chain;

	while ((chain = shadow_find(&blk->shadow, SHADOW_FREE)))
		if (back && !is_own(blk, chain))
			finish(blk, chain, false);
		else
			shadow_land(&blk->shadow, chain);
	blk->flushing = false;
}

/* It must not be listened to any more. */
static void lose(struct vhost_blk *blk, const char *why)
{
	virtio_complain(&blk->device, "the back-end is given up: %s; the guest gets I/O errors", why);
	vhost_user_close(&blk->peer);
	blk->started = blk->away = false;
	blk->lost = true;
	drop_all(blk, true);
}

/* It is gone, and another may come. */
static void part(struct vhost_blk *blk)
{
	vhost_user_close(&blk->peer);
	blk->started = false;
	if (blk->deaths++ == MAX_DEATHS) {
		lose(blk, "it hung up again and again");
		return;
	}
	blk->away = true;
	blk->failing = false;
	blk->since = blk->next_try = wait_now_ms();
	if (blk->deaths == 1)
		virtio_complain(&blk->device, "the back-end hung up; requests wait for it");
	virtio_kick(&blk->device);
}

static void lose_or_part(struct vhost_blk *blk)
{
	if (blk->peer.gone)
		part(blk);
	else
		lose(blk, blk->peer.why);
}

/* Has it written something that it may still forget? */
static bool must_hold(const struct vhost_blk *blk, const struct queue_chain *chain)
{
	struct iovec iov[QUEUE_MAX_SEGMENTS];
	struct virtio_blk_outhdr header;

	if (!(blk->peer.features & BIT64(VIRTIO_BLK_F_FLUSH)) ||
	    !queue_owns(&blk->device.queues[0], chain->generation))
		return false;
	chain_read(chain, 0, &header, sizeof(header));
	chain_slice(chain, true, chain->in_bytes - 1, 1, iov);
	return *(const uint8_t *)iov[0].iov_base == VIRTIO_BLK_S_OK &&
	       (header.type == VIRTIO_BLK_T_OUT || header.type == VIRTIO_BLK_T_DISCARD ||
		header.type == VIRTIO_BLK_T_WRITE_ZEROES);
}

/* What was written before our flush began is safe, or it is an error. */
static void finish_covered(struct vhost_blk *blk)
{
	bool good = blk->shadow.page[sizeof(struct virtio_blk_outhdr)] == VIRTIO_BLK_S_OK;
	const struct queue_chain *chain;

	if (!good)
		virtio_complain(&blk->device, "the back-end cannot flush; the guest gets an I/O error");
	while ((chain = shadow_find(&blk->shadow, SHADOW_COVERED)))
		finish(blk, chain, good);
	blk->flushing = false;
}

static void flush_held(struct vhost_blk *blk)
{
	const struct virtio_blk_outhdr header = { .type = VIRTIO_BLK_T_FLUSH };

	if (blk->flushing || !blk->started || !shadow_cover(&blk->shadow))
		return;
	memcpy(blk->shadow.page, &header, sizeof(header));
	blk->shadow.page[sizeof(header)] = VIRTIO_BLK_S_IOERR;
	blk->flushing = shadow_add(&blk->shadow, &blk->flush, 0);
	if (shadow_wants_kick(&blk->shadow))
		signal_event(blk->kick_fd);
}

static void collect(struct vhost_blk *blk)
{
	struct queue_chain *chain;

	while (blk->started) {
		if (!shadow_take(&blk->shadow, &chain))
			lose(blk, "it returns a request that it does not have");
		if (!chain)
			break;
		blk->deaths = 0;
		if (is_own(blk, chain)) {
			shadow_land(&blk->shadow, chain);
			finish_covered(blk);
		} else if (!must_hold(blk, chain)) {
			finish(blk, chain, true);
		}
	}
	flush_held(blk);
}

/* ---- starting and stopping ------------------------------------------------------------ */

static unsigned int list_memory(const struct vhost_blk *blk, struct vhost_user_region *regions)
{
	const struct guest_memory *memory = blk->device.memory;
	unsigned int count = 0;

	regions[count++] = (struct vhost_user_region){
		0, memory->low, memory->base, 0, memory->fd,
	};
	if (memory->bytes > memory->low)
		regions[count++] = (struct vhost_user_region){
			MEMORY_HIGH, memory->bytes - memory->low, memory->base + memory->low,
			memory->low, memory->fd,
		};
	regions[count++] = (struct vhost_user_region){
		SHADOW_GPA, blk->shadow.bytes, blk->shadow.base, 0, blk->shadow.fd,
	};
	return count;
}

static void drop_own(struct vhost_blk *blk)
{
	for (unsigned int head = 0; blk->flushing && head < SHADOW_SIZE; head++)
		if (blk->shadow.owner[head] != SHADOW_FREE && is_own(blk, &blk->shadow.chains[head])) {
			shadow_land(&blk->shadow, &blk->shadow.chains[head]);
			blk->flushing = false;
		}
}

static void start(struct vhost_blk *blk)
{
	struct vhost_user_region regions[VHOST_USER_MAX_REGIONS];
	const struct vhost_user_ring ring = {
		SHADOW_SIZE, blk->shadow.desc, blk->shadow.avail, blk->shadow.used,
		blk->kick_fd, blk->call_fd,
	};
	uint64_t features = blk->device.negotiated & blk->peer.features;

	/* Our own flush covers what is written again, so it begins anew. */
	drop_own(blk);
	shadow_again(&blk->shadow);
	clear_event(blk->kick_fd);
	clear_event(blk->call_fd);
	/* Ours is simpler than the guest's. */
	features &= KNOWN_FEATURES | BIT64(VIRTIO_F_VERSION_1);
	features |= blk->peer.features & BIT64(VIRTIO_BLK_F_FLUSH);
	blk->started = vhost_user_start(&blk->peer, features, regions, list_memory(blk, regions),
					&ring);
	if (!blk->started)
		lose_or_part(blk);
	else if (blk->shadow.nr_flying)
		signal_event(blk->kick_fd);
}

/* Wait for the requests that the back-end has; false: it still has some. */
static bool drain(struct vhost_blk *blk)
{
	/* It does not signal a request twice. */
	collect(blk);
	while (blk->started && blk->shadow.nr_free < SHADOW_SIZE) {
		struct pollfd fds[2] = {
			{ .fd = blk->call_fd, .events = POLLIN },
			{ .fd = blk->peer.fd, .events = POLLIN },
		};
		int64_t left = blk->peer.until - wait_now_ms();

		if (left <= 0)
			return false;
		if (poll(fds, 2, left) > 0 && fds[1].revents)
			part(blk);
		clear_event(blk->call_fd);
		collect(blk);
	}
	return blk->shadow.nr_free == SHADOW_SIZE;
}

/* Of a queue that is off: what comes back is dropped. */
static void stop(struct virtio_device *device)
{
	struct vhost_blk *blk = to_blk(device);

	if (blk->started) {
		vhost_user_begin(&blk->peer);
		/* Until they return it may write to their memory. */
		if (!drain(blk) && blk->started)
			lose(blk, "it keeps requests that the driver took away");
		if (blk->started && !vhost_user_stop(&blk->peer))
			lose_or_part(blk);
		blk->started = false;
	}
	drop_all(blk, false);
}

/* ---- requests ------------------------------------------------------------------------- */

static bool is_request(struct virtio_device *device, const struct queue_chain *chain)
{
	if (chain->out_bytes >= sizeof(struct virtio_blk_outhdr) && chain->in_bytes)
		return true;
	virtio_broken(device, "a request has no header or no room for its status");
	return false;
}

static int64_t refuse(struct virtio_device *device, struct queue_chain *chain)
{
	if (!is_request(device, chain))
		return -1;
	put_error(device, chain);
	return chain->in_bytes;
}

/* False: enough for this turn. */
static bool hand_on_some(struct vhost_blk *blk, unsigned int *budget)
{
	struct virtio_device *device = &blk->device;
	const struct queue_chain *chain = &device->chain;

	while (blk->started && virtio_pop(device, 0)) {
		if (!is_request(device, chain))
			return false;
		if (chain->out + chain->in > SHADOW_MOST) {
			put_error(device, chain);
			virtio_push(device, 0, chain->in_bytes);
			continue;
		}
		if (!shadow_add(&blk->shadow, chain, SHADOW_RESERVE)) {
			/* It comes again with the next answer. */
			virtio_put_back(device);
			return false;
		}
		if (shadow_wants_kick(&blk->shadow))
			signal_event(blk->kick_fd);
		virtio_breathe(device, VIRTIO_SEGMENT * (chain->in + chain->out));
		if (!--*budget || device->turn >= VIRTIO_TURN) {
			virtio_kick(device);
			return false;
		}
	}
	return blk->started;
}

static void hand_on(struct vhost_blk *blk)
{
	struct virtio_device *device = &blk->device;
	unsigned int budget = device->queues[0].rings.size;

	do
		queue_notify_off(&device->queues[0]);
	while (hand_on_some(blk, &budget) && virtio_more(device, 0));
}

static void work(struct virtio_device *device)
{
	struct vhost_blk *blk = to_blk(device);

	if (!device->queues[0].ready)
		return;
	if (blk->peer.fd >= 0 && !blk->started)
		start(blk);
	collect(blk);
	if (blk->lost || blk->failing)
		virtio_serve(device, 0, refuse);
	else if (blk->started)
		hand_on(blk);
}

static unsigned int poll_blk(struct virtio_device *device, struct pollfd *fds, unsigned int room,
			     int *timeout)
{
	struct vhost_blk *blk = to_blk(device);

	(void)room;
	if (blk->away)
		*timeout = blk->next_try > wait_now_ms() ? blk->next_try - wait_now_ms() : 0;
	if (blk->peer.fd < 0)
		return 0;
	fds[0] = (struct pollfd){ .fd = blk->call_fd, .events = POLLIN };
	fds[1] = (struct pollfd){ .fd = blk->peer.fd, .events = POLLIN };
	return 2;
}

/* With the lock held, so that nobody waits for an answer: what there is was not asked for. */
static void listen_to(struct vhost_blk *blk)
{
	struct pollfd fd = { .fd = blk->peer.fd, .events = POLLIN };

	if (poll(&fd, 1, 0) <= 0)
		return;
	/* Complete the requests that it has answered. */
	collect(blk);
	if (blk->peer.fd < 0)
		return;
	if (fd.revents & POLLHUP)
		part(blk);
	else
		lose(blk, "it says something that it was not asked");
}

/* ---- another back-end ------------------------------------------------------------------ */

/* The driver is told what the launcher takes from it, whatever the back-end would. */
static bool read_config(struct vhost_user *peer, struct virtio_blk_config *config)
{
	const uint32_t most = SHADOW_MOST - 2;

	if (!vhost_user_config(peer, config, CONFIG_BYTES))
		return false;
	if (!config->seg_max || config->seg_max > most)
		config->seg_max = most;
	config->num_queues = 1;
	return true;
}

/* As the driver knows it. */
static bool is_same_disk(const struct vhost_blk *blk, const struct vhost_user *peer,
			 const struct virtio_blk_config *config)
{
	/* The one for segments is the launcher's. */
	uint64_t wanted = blk->device.features & KNOWN_FEATURES & ~BIT64(VIRTIO_BLK_F_SEG_MAX);

	if (blk->flushes)
		wanted |= BIT64(VIRTIO_BLK_F_FLUSH);
	return !(wanted & ~peer->features) &&
	       !((peer->features ^ blk->device.features) & BIT64(VIRTIO_BLK_F_RO)) &&
	       !memcmp(config, &blk->config, CONFIG_BYTES);
}

static void adopt(struct vhost_blk *blk, const struct vhost_user *peer)
{
	blk->peer = *peer;
	blk->flushes |= !!(peer->features & BIT64(VIRTIO_BLK_F_FLUSH));
	blk->away = blk->failing = false;
}

/* Without the lock, since others need not wait for it: nobody touches a back-end that is away. */
static bool find_another(struct vhost_blk *blk, struct vhost_user *peer,
			 struct virtio_blk_config *config)
{
	bool found;

	virtio_unlock(&blk->device);
	found = vhost_user_take(peer, keeper_connect(blk->note), vhost_user_patience_ms) &&
		read_config(peer, config);
	virtio_lock(&blk->device);
	if (!found)
		vhost_user_close(peer);
	return found;
}

static void try_again(struct vhost_blk *blk)
{
	struct virtio_blk_config config = { .capacity = 0 };
	struct vhost_user peer;

	if (find_another(blk, &peer, &config)) {
		if (!is_same_disk(blk, &peer, &config)) {
			vhost_user_close(&peer);
			lose(blk, "another came with another disk");
			return;
		}
		adopt(blk, &peer);
		virtio_complain(&blk->device, "there is a back-end again");
		virtio_kick(&blk->device);
		return;
	}
	blk->next_try = wait_now_ms() + (blk->failing ? RARE_MS : RETRY_MS);
	if (blk->failing || wait_now_ms() - blk->since < vhost_blk_window_ms)
		return;
	blk->failing = true;
	virtio_complain(&blk->device,
			"no back-end has come; the guest gets I/O errors until one does");
	drop_all(blk, true);
}

static void polled(struct virtio_device *device, const struct pollfd *fds, unsigned int count)
{
	struct vhost_blk *blk = to_blk(device);

	if (count && fds[0].revents)
		clear_event(blk->call_fd);
	if (count && fds[1].revents && blk->peer.fd >= 0)
		listen_to(blk);
	if (blk->away && wait_now_ms() >= blk->next_try)
		try_again(blk);
}

static bool connect(struct vhost_blk *blk, struct vhost_user *peer,
		    struct virtio_blk_config *config, struct error *error)
{
	const char *who = blk->image ? "qemu-storage-daemon" : "the back-end";

	if (blk->image) {
		if (!storage_take(peer, blk->note, blk->device.label, error))
			return false;
	} else if (!vhost_user_take(peer, keeper_connect(blk->note), vhost_user_patience_ms)) {
		return error_set(error, peer->status, "--%s: %s: %s", blk->device.label, who,
				 peer->why);
	}
	if (read_config(peer, config))
		return true;
	vhost_user_close(peer);
	return error_set(error, peer->status, "--%s: %s: %s", blk->device.label, who, peer->why);
}

/* ---- saved state ----------------------------------------------------------------------- */

static void save(struct virtio_device *device, struct state_writer *out)
{
	struct vhost_blk *blk = to_blk(device);

	state_put(out, "disk.sectors", 8, blk->config.capacity);
	state_put_bytes(out, "disk.config", &blk->config, CONFIG_BYTES);
}

/* The back-end here says later what it has, see claim(). */
static void load(struct virtio_device *device, struct state_reader *in)
{
	struct vhost_blk *blk = to_blk(device);
	uint64_t sectors = state_take(in, "disk.sectors", 8, UINT64_MAX);

	state_take_bytes(in, "disk.config", &blk->config, CONFIG_BYTES);
	if (blk->config.capacity != sectors)
		state_refuse(in, "disk.config", "it has another number of sectors");
	virtio_set_config(device, 0, &blk->config, CONFIG_BYTES);
}

/* A move does not wait for a back-end that may never come. */
static bool prepare(struct virtio_device *device, struct error *error)
{
	struct vhost_blk *blk = to_blk(device);
	bool there;

	virtio_lock(device);
	there = blk->peer.fd >= 0;
	virtio_unlock(device);
	return there || error_set(error, EXIT_CODE_STATE, "%s: its back-end is gone", device->label);
}

/* What it has completed is flushed, too. */
static void freeze(struct virtio_device *device)
{
	struct vhost_blk *blk = to_blk(device);

	if (!blk->started)
		return;
	vhost_user_begin(&blk->peer);
	drain(blk);
}

static bool settle(struct virtio_device *device, struct error *error)
{
	struct vhost_blk *blk = to_blk(device);

	if (blk->peer.fd < 0)
		return error_set(error, EXIT_CODE_STATE, "%s: its back-end is gone", device->label);
	return blk->shadow.nr_free == SHADOW_SIZE ||
	       error_set(error, EXIT_CODE_STATE, "%s: its back-end keeps requests", device->label);
}

/* The next one to open the disk must find it closed. */
static void yield(struct virtio_device *device)
{
	struct vhost_blk *blk = to_blk(device);

	if (blk->started) {
		vhost_user_begin(&blk->peer);
		vhost_user_stop(&blk->peer);
	}
	vhost_user_close(&blk->peer);
	blk->started = blk->away = false;
	keeper_part(blk->note);
}

static bool claim(struct virtio_device *device, struct error *error)
{
	struct virtio_blk_config config = { .capacity = 0 };
	struct vhost_blk *blk = to_blk(device);
	struct vhost_user peer;

	if (!connect(blk, &peer, &config, error))
		return false;
	if (!is_same_disk(blk, &peer, &config)) {
		vhost_user_close(&peer);
		keeper_part(blk->note);
		return error_set(error, EXIT_CODE_ERROR, "%s: it has another size or other features",
				 device->label);
	}
	adopt(blk, &peer);
	return true;
}

/* ---- making it ------------------------------------------------------------------------ */

static void destroy(struct virtio_device *device)
{
	struct vhost_blk *blk = to_blk(device);

	stop(device);
	vhost_user_close(&blk->peer);
	shadow_destroy(&blk->shadow);
	if (blk->kick_fd >= 0)
		close(blk->kick_fd);
	if (blk->call_fd >= 0)
		close(blk->call_fd);
}

/* A flush of ours: a header, and a status behind it. */
static void make_flush(struct vhost_blk *blk)
{
	uint64_t gpa = SHADOW_GPA + (blk->shadow.page - (uint8_t *)blk->shadow.base);
	const uint64_t bytes = sizeof(struct virtio_blk_outhdr);

	blk->flush = (struct queue_chain){
		.out = 1, .in = 1, .out_bytes = bytes, .in_bytes = 1,
		.iov = { { blk->shadow.page, bytes }, { blk->shadow.page + bytes, 1 } },
		.gpa = { gpa, gpa + bytes },
	};
}

static bool open_ring(struct vhost_blk *blk, struct error *error)
{
	int ret = shadow_create(&blk->shadow);

	if (!ret) {
		blk->kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		blk->call_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (blk->kick_fd < 0 || blk->call_fd < 0)
			ret = -errno;
	}
	if (!ret)
		make_flush(blk);
	return !ret || error_set(error, EXIT_CODE_ERROR, "%s: cannot make its ring: %s",
				 blk->device.label, strerror(-ret));
}

bool vhost_user_check(const char *spec, struct error *error)
{
	if (!strncmp(spec, "blk=", 4) && spec[4])
		return true;
	return error_set(error, EXIT_CODE_USAGE,
			 "--vhost-user %s: it is not of the form blk=SOCKET", spec);
}

static bool note_it(struct vhost_blk *blk, const char *spec, struct error *error)
{
	struct virtio_device *device = &blk->device;

	if (blk->image) {
		blk->note = storage_note(spec, device->label, sizeof(device->label), error);
		return blk->note >= 0;
	}
	snprintf(device->label, sizeof(device->label), "vhost-user %s", spec);
	if (!vhost_user_check(spec, error))
		return false;
	blk->note = keeper_note(KEEPER_PEER, spec + 4, error);
	return blk->note >= 0;
}

/* That of an incoming VM has its disk until claim(). */
static bool find_first(struct vhost_blk *blk, uint64_t *features, struct error *error)
{
	struct vhost_user peer;

	*features = KNOWN_FEATURES;
	if (devices_incoming())
		return true;
	if (!connect(blk, &peer, &blk->config, error))
		return false;
	adopt(blk, &peer);
	*features &= peer.features;
	return true;
}

static struct virtio_device *create(struct guest_memory *memory, uint8_t *registers,
				    const char *spec, bool image, struct error *error)
{
	static const struct virtio_ops ops = {
		.name = "vhost-blk", .id = VIRTIO_ID_BLOCK, .work = work, .reset = stop,
		.disable = stop, .poll = poll_blk, .polled = polled, .destroy = destroy,
		.version = 1, .save = save, .load = load, .freeze = freeze, .prepare = prepare,
		.settle = settle, .yield = yield, .claim = claim,
	};
	struct vhost_blk *blk = device_alloc(sizeof(*blk));
	uint64_t features;

	blk->peer.fd = -1;
	blk->kick_fd = -1;
	blk->call_fd = -1;
	blk->image = image;
	if (!note_it(blk, spec, error) || !find_first(blk, &features, error) ||
	    !open_ring(blk, error)) {
		destroy(&blk->device);
		free(blk);
		return NULL;
	}
	features &= ~BIT64(VIRTIO_BLK_F_FLUSH);
	features |= BIT64(VIRTIO_BLK_F_SEG_MAX);
	if (!virtio_init(&blk->device, &ops, memory, registers, features, 1, error))
		return NULL;
	virtio_set_config(&blk->device, 0, &blk->config, CONFIG_BYTES);
	return &blk->device;
}

struct virtio_device *vhost_blk_create(struct guest_memory *memory, uint8_t *registers,
				       const char *spec, struct error *error)
{
	return create(memory, registers, spec, false, error);
}

struct virtio_device *image_create(struct guest_memory *memory, uint8_t *registers,
				   const char *spec, struct error *error)
{
	return create(memory, registers, spec, true, error);
}
