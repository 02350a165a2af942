/* SPDX-License-Identifier: GPL-2.0-only */
/* QEMU's storage daemon, which is started for an image that is not raw. */
#ifndef DEVICE_VIRTIO_STORAGE_H
#define DEVICE_VIRTIO_STORAGE_H

#include "vhost_user.h"

/**
 * storage_connect() - start it for the disk @spec, and agree on features
 * @label: gets "disk FILE", @room bytes
 * @note: gets the keeper's, to start it again
 *
 * The program ends with the VM, and can open no file but the image.  False with @error, which has its
 * words if it has said any.
 */
bool storage_connect(struct vhost_user *peer, const char *spec, char *label, size_t room,
		     int *note, struct error *error);

#endif
