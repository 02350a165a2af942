/* SPDX-License-Identifier: GPL-2.0-only */
/* QEMU's storage daemon, which is started for an image that is not raw. */
#ifndef DEVICE_VIRTIO_STORAGE_H
#define DEVICE_VIRTIO_STORAGE_H

#include "vhost_user.h"

/**
 * storage_note() - check the disk @spec; returns the keeper's note of its program, or -1 with @error
 * @label: gets "disk FILE", @room bytes
 */
int storage_note(const char *spec, char *label, size_t room, struct error *error);
/**
 * storage_take() - start the program of a note, and agree on features
 *
 * The program ends with the VM, and can open no file but the image.  False with @error, which has its
 * words if it has said any.
 */
bool storage_take(struct vhost_user *peer, int note, const char *label, struct error *error);

#endif
