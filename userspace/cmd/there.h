/* SPDX-License-Identifier: GPL-2.0-only */
/* Check that the files and interfaces that a VM names exist, before it starts or arrives. */
#ifndef CMD_THERE_H
#define CMD_THERE_H

#include "boot/boot.h"
#include "device/virtio/devices.h"

/** there_check_boot() - check that kernel, initrd and modules can be read, or fail() */
void there_check_boot(const struct boot *boot);
/** there_check_place() - likewise for the directory of a socket or file, "unix:PATH" or "PATH" */
void there_check_place(const char *option, const char *where);
/** there_check_socket() - likewise for the path of a socket */
void there_check_socket(const char *option, const char *path);
/** there_check_device() - likewise for a disk's file, a card's tap, a port's socket or file */
void there_check_device(const struct virtio_spec *spec);

#endif
