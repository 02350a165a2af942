// SPDX-License-Identifier: GPL-2.0-only
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "driver.h"

struct driver driver;

static void make_memory(bool shared)
{
	require_equal(memory_create_bare(&driver.memory, GUEST_BYTES, shared), 0);
	driver.registers = mmap(NULL, VIRTIO_MMIO_STRIDE, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	require(driver.registers != MAP_FAILED);
}

void driver_memory(void)
{
	make_memory(false);
}

void driver_shared_memory(void)
{
	make_memory(true);
}

unsigned int driver_descriptors(void)
{
	unsigned int count = 0;

	for (int fd = 0; fd < 1024; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

void driver_forget(void)
{
	memory_destroy(&driver.memory);
	munmap(driver.registers, VIRTIO_MMIO_STRIDE);
}

void *guest(uint64_t gpa)
{
	return driver.memory.base + gpa;
}

uint32_t get_register(unsigned int offset)
{
	return virtio_read(driver.device, offset, 4);
}

void set_register(unsigned int offset, uint32_t value)
{
	virtio_write(driver.device, offset, value, 4);
}

static uint64_t rings(unsigned int queue)
{
	return RINGS + queue * RINGS_STRIDE;
}

struct vring_desc *ring_desc(unsigned int queue)
{
	return guest(rings(queue));
}

uint16_t *ring_avail(unsigned int queue)
{
	return guest(rings(queue) + 0x2000);
}

volatile struct vring_used *ring_used(unsigned int queue)
{
	return guest(rings(queue) + 0x4000);
}

static void set_address(unsigned int low, uint64_t gpa)
{
	set_register(low, gpa);
	set_register(low + 4, gpa >> 32);
}

void driver_start(struct virtio_device *device, uint64_t without)
{
	uint64_t features = device->features & ~without;

	driver.device = device;
	require_equal(virtio_start(device), 0);
	set_register(VIRTIO_MMIO_STATUS, 0);
	set_register(VIRTIO_MMIO_STATUS, 3);
	set_register(VIRTIO_MMIO_DRIVER_FEATURES_SEL, 0);
	set_register(VIRTIO_MMIO_DRIVER_FEATURES, features);
	set_register(VIRTIO_MMIO_DRIVER_FEATURES_SEL, 1);
	set_register(VIRTIO_MMIO_DRIVER_FEATURES, features >> 32);
	set_register(VIRTIO_MMIO_STATUS, 3 | VIRTIO_CONFIG_S_FEATURES_OK);
	require(get_register(VIRTIO_MMIO_STATUS) & VIRTIO_CONFIG_S_FEATURES_OK);
	for (unsigned int i = 0; i < device->nr_queues && i < 8; i++) {
		set_register(VIRTIO_MMIO_QUEUE_SEL, i);
		require(get_register(VIRTIO_MMIO_QUEUE_NUM_MAX) >= QUEUE_SIZE);
		set_register(VIRTIO_MMIO_QUEUE_NUM, QUEUE_SIZE);
		set_address(VIRTIO_MMIO_QUEUE_DESC_LOW, rings(i));
		set_address(VIRTIO_MMIO_QUEUE_AVAIL_LOW, rings(i) + 0x2000);
		set_address(VIRTIO_MMIO_QUEUE_USED_LOW, rings(i) + 0x4000);
		set_register(VIRTIO_MMIO_QUEUE_READY, 1);
		require_equal(get_register(VIRTIO_MMIO_QUEUE_READY), 1);
	}
	set_register(VIRTIO_MMIO_STATUS, 3 | VIRTIO_CONFIG_S_FEATURES_OK |
		     VIRTIO_CONFIG_S_DRIVER_OK);
}

void driver_end(void)
{
	virtio_stop(driver.device);
	virtio_destroy(driver.device);
	driver_forget();
}

void put_desc(unsigned int queue, unsigned int at, uint64_t gpa, uint32_t bytes,
	      unsigned int flags, unsigned int next)
{
	ring_desc(queue)[at] = (struct vring_desc){ gpa, bytes, flags, next };
}

void offer(unsigned int queue, uint16_t head)
{
	uint16_t *avail = ring_avail(queue);

	avail[2 + avail[1] % QUEUE_SIZE] = head;
	__atomic_store_n(&avail[1], avail[1] + 1, __ATOMIC_SEQ_CST);
	set_register(VIRTIO_MMIO_QUEUE_NOTIFY, queue);
}

bool used_within(unsigned int queue, uint16_t index)
{
	for (int i = 0; i < PATIENCE_MS && ring_used(queue)->idx != index; i++)
		usleep(1000);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return ring_used(queue)->idx == index;
}

bool broken_within(void)
{
	for (int i = 0; i < PATIENCE_MS; i++) {
		if (get_register(VIRTIO_MMIO_STATUS) & VIRTIO_CONFIG_S_NEEDS_RESET)
			return true;
		usleep(1000);
	}
	return false;
}

int connect_peer(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int peer = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(address.sun_path, path);
	require_equal(connect(peer, (struct sockaddr *)&address, sizeof(address)), 0);
	return peer;
}
