/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A driver of virtio devices for tests of bhyve: it sits in slot 4 of bus 0 and has its
 * queues in the fake VM's memory.
 */
#ifndef TESTS_VIRTIO_DRIVER_H
#define TESTS_VIRTIO_DRIVER_H

#include <stdbool.h>
#include <stdint.h>

#define DRIVER_SLOT	4u
#define DRIVER_QUEUE	16u	  /* entries */
#define DRIVER_MEMORY	0x100000u /* where tests may put buffers */
#define DRIVER_NEXT	0x1u
#define DRIVER_WRITE	0x2u
#define DRIVER_INDIRECT 0x4u

#define DRIVER_VERSION_1   (UINT64_C(1) << 32)
#define DRIVER_EVENT_INDEX (UINT64_C(1) << 29)

/* Make the device that the rest of a -s option describes; once in a process. */
void driver_attach(const char *device);
/* Reset it: nothing is in flight any more. */
void driver_detach(void);

/* The registers of its memory BAR: common structure, device's configuration. */
uint32_t driver_read(unsigned offset, unsigned bytes);
void driver_write(unsigned offset, unsigned bytes, uint32_t value);
uint32_t driver_config(unsigned offset, unsigned bytes);
uint32_t driver_port_read(unsigned offset, unsigned bytes);
void driver_port_write(unsigned offset, unsigned bytes, uint32_t value);

uint64_t driver_features(void);
/* Reset, agree on features and make all queues ready: the status in the end. */
uint8_t driver_start(uint64_t features);
uint8_t driver_status(void);

/* Fill in a descriptor of a queue. */
void driver_descriptor(unsigned queue, unsigned index, uint64_t address, uint32_t length,
		       uint16_t flags, uint16_t next);
/* Offer the chain that begins there, and notify. */
void driver_offer(unsigned queue, uint16_t head);
void driver_notify(unsigned queue);
/* Wait until 'count' chains have come back since driver_start(); the last one's length. */
uint32_t driver_wait(unsigned queue, uint16_t count);
/* How many have, now. */
uint16_t driver_used(unsigned queue);
/* What the driver says about interrupts: flags, or the event index. */
void driver_interrupts(unsigned queue, uint16_t flags, uint16_t event);

/* Fill in a vector of MSI-X, unmasked, and turn that on. */
void driver_enable_msix(unsigned vector, uint32_t data);
void driver_mask_vector(unsigned vector, bool masked);
/* The word of pending bits. */
uint32_t driver_pending(void);
/* The vector that a queue uses; 0xffff: none. */
void driver_queue_vector(unsigned queue, uint16_t vector);

#endif
