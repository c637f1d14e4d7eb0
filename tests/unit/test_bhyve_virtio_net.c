// SPDX-License-Identifier: BSD-2-Clause
/* bhyve's virtio network device, with a socket of the test's as its network. */
#include "fake_vmmapi.h"
#include "net_options.h"
#include "pci.h"
#include "unit.h"
#include "virtio_driver.h"

#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define RECEIVE	 0
#define TRANSMIT 1
#define HEADER	 12u
#define BUFFERS	 (DRIVER_MEMORY + 0x10000)

#define FEATURE_MRG (UINT64_C(1) << 15)
#define NEEDS_RESET 0x40

static int wire = -1; /* the other end of the device's network */

static void set_up(uint64_t features)
{
	char device[64];
	int sockets[2];

	REQUIRE(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sockets) == 0);
	wire = sockets[1];
	snprintf(device, sizeof(device), "virtio-net,fd=%d,mac=02:00:00:00:00:07,mtu=9000",
		 sockets[0]);
	driver_attach(device);
	REQUIRE(driver_start(features | DRIVER_VERSION_1) == 0xf);
}

static uint64_t buffer(unsigned index)
{
	return BUFFERS + index * 0x1000u;
}

static void give_buffers(unsigned count, uint32_t bytes)
{
	for (unsigned i = 0; i < count; i++) {
		driver_descriptor(RECEIVE, i, buffer(i), bytes, DRIVER_WRITE, 0);
		driver_offer(RECEIVE, (uint16_t)i);
	}
}

static void fill(uint8_t *frame, size_t length)
{
	for (size_t i = 0; i < length; i++)
		frame[i] = (uint8_t)(i * 7 + i / 256);
}

TEST(configuration_has_address_link_and_mtu)
{
	set_up(0);
	CHECK_EQ(pci_config_read(DRIVER_SLOT, 0, 0, 4), 0x10001af4);
	CHECK_EQ(driver_config(0, 4), 0x00000002);
	CHECK_EQ(driver_config(4, 2), 0x0700);
	CHECK_EQ(driver_config(6, 2), 1);
	CHECK_EQ(driver_config(10, 2), 9000);
	/* A network without virtio's header has no offloads. */
	CHECK_EQ(driver_features() & 0x1883, 0);
	driver_detach();
}

TEST(frame_goes_out_without_header)
{
	uint8_t frame[1514], sent[2048];

	set_up(0);
	fill(frame, sizeof(frame));
	memcpy(fake.memory + buffer(0) + HEADER, frame, sizeof(frame));
	driver_descriptor(TRANSMIT, 0, buffer(0), HEADER + 14, DRIVER_NEXT, 1);
	driver_descriptor(TRANSMIT, 1, buffer(0) + HEADER + 14, sizeof(frame) - 14, 0, 0);
	driver_offer(TRANSMIT, 0);
	CHECK_EQ(driver_wait(TRANSMIT, 1), 0);
	CHECK_EQ(recv(wire, sent, sizeof(sent), 0), (ssize_t)sizeof(frame));
	CHECK_EQ(memcmp(sent, frame, sizeof(frame)), 0);
	driver_detach();
}

TEST(frame_comes_in_behind_a_header)
{
	uint8_t frame[60];

	set_up(0);
	fill(frame, sizeof(frame));
	memset(fake.memory + buffer(0), 0xff, 0x1000);
	give_buffers(2, 0x1000);
	CHECK_EQ(send(wire, frame, sizeof(frame), 0), (ssize_t)sizeof(frame));
	CHECK_EQ(driver_wait(RECEIVE, 1), HEADER + sizeof(frame));
	CHECK_EQ(fake.memory[buffer(0)] | fake.memory[buffer(0) + 1], 0);
	CHECK_EQ(fake.memory[buffer(0) + 10], 1); /* one buffer */
	CHECK_EQ(memcmp(fake.memory + buffer(0) + HEADER, frame, sizeof(frame)), 0);
	driver_detach();
}

TEST(frame_is_spread_over_mergeable_buffers)
{
	uint8_t frame[1500];

	set_up(FEATURE_MRG);
	fill(frame, sizeof(frame));
	give_buffers(4, 512);
	CHECK_EQ(send(wire, frame, sizeof(frame), 0), (ssize_t)sizeof(frame));
	CHECK_EQ(driver_wait(RECEIVE, 3), HEADER + sizeof(frame) - 1024);
	CHECK_EQ(driver_used(RECEIVE), 3);
	CHECK_EQ(fake.memory[buffer(0) + 10], 3);
	CHECK_EQ(memcmp(fake.memory + buffer(0) + HEADER, frame, 500), 0);
	CHECK_EQ(memcmp(fake.memory + buffer(1), frame + 500, 512), 0);
	CHECK_EQ(memcmp(fake.memory + buffer(2), frame + 1012, 488), 0);
	driver_detach();
}

TEST(frames_wait_for_buffers)
{
	uint8_t frame[100];

	set_up(0);
	fill(frame, sizeof(frame));
	give_buffers(1, 0x1000);
	for (unsigned i = 0; i < 3; i++)
		CHECK_EQ(send(wire, frame, sizeof(frame), 0), (ssize_t)sizeof(frame));
	(void)driver_wait(RECEIVE, 1);
	for (uint16_t i = 0; i < 2; i++) {
		driver_descriptor(RECEIVE, 1, buffer(1), 0x1000, DRIVER_WRITE, 0);
		driver_offer(RECEIVE, 1);
		CHECK_EQ(driver_wait(RECEIVE, (uint16_t)(i + 2)), HEADER + sizeof(frame));
	}
	driver_detach();
}

/* Two halves of a frame's buffers: none of it is seen before there is room for all. */
TEST(frame_waits_for_enough_buffers)
{
	uint8_t frame[1500];

	set_up(FEATURE_MRG);
	fill(frame, sizeof(frame));
	give_buffers(1, 512);
	CHECK_EQ(send(wire, frame, sizeof(frame), 0), (ssize_t)sizeof(frame));
	usleep(20000);
	CHECK_EQ(driver_used(RECEIVE), 0);
	for (uint16_t i = 1; i < 4; i++) {
		driver_descriptor(RECEIVE, i, buffer(i), 512, DRIVER_WRITE, 0);
		driver_offer(RECEIVE, i);
	}
	(void)driver_wait(RECEIVE, 3);
	CHECK_EQ(fake.memory[buffer(0) + 10], 3);
	CHECK_EQ(memcmp(fake.memory + buffer(2), frame + 1012, 488), 0);
	driver_detach();
}

TEST(frames_without_content_are_lost)
{
	uint8_t sent[64];

	set_up(0);
	driver_descriptor(TRANSMIT, 0, buffer(0), HEADER, 0, 0);
	driver_offer(TRANSMIT, 0);
	CHECK_EQ(driver_wait(TRANSMIT, 1), 0);
	CHECK_EQ(recv(wire, sent, sizeof(sent), MSG_DONTWAIT), -1);
	driver_detach();
}

/* More than the socket holds: the queue waits, and goes on when somebody reads. */
TEST(full_network_holds_the_queue)
{
	static uint8_t sent[70000];
	unsigned frames = 0;

	set_up(0);
	driver_descriptor(TRANSMIT, 0, BUFFERS, 60000, 0, 0);
	for (unsigned i = 0; i < DRIVER_QUEUE; i++)
		driver_offer(TRANSMIT, 0);
	while (frames < DRIVER_QUEUE) {
		CHECK_EQ(recv(wire, sent, sizeof(sent), 0), 60000 - HEADER);
		frames++;
	}
	(void)driver_wait(TRANSMIT, DRIVER_QUEUE);
	driver_detach();
}

TEST(end_of_the_network_takes_the_link_down)
{
	set_up(0);
	close(wire);
	for (unsigned turn = 0; turn < 10000 && (driver_config(6, 2) & 1); turn++)
		usleep(1000);
	CHECK_EQ(driver_config(6, 2), 0);
	/* The guest's frames are lost, and it goes on. */
	driver_descriptor(TRANSMIT, 0, buffer(0), 100, 0, 0);
	driver_offer(TRANSMIT, 0);
	CHECK_EQ(driver_wait(TRANSMIT, 1), 0);
	CHECK_EQ(driver_status() & NEEDS_RESET, 0);
	driver_detach();
}

TEST(broken_receive_queue_wants_a_reset)
{
	uint8_t frame[60] = { 0 };

	set_up(0);
	driver_descriptor(RECEIVE, 0, FAKE_MEMORY, 0x1000, DRIVER_WRITE, 0);
	driver_offer(RECEIVE, 0);
	CHECK_EQ(send(wire, frame, sizeof(frame), 0), (ssize_t)sizeof(frame));
	for (unsigned turn = 0; turn < 10000 && !(driver_status() & NEEDS_RESET); turn++)
		usleep(1000);
	CHECK_EQ(driver_status() & NEEDS_RESET, NEEDS_RESET);
	driver_detach();
}

TEST(options_that_are_refused)
{
	static const char *const bad[] = {
		"",
		"eth0",
		"slirp,mac=1",
		"tap0,mac=01:00:00:00:00:00",
		"slirp,mtu=67",
		"slirp,mtu=1e5",
		"tap0,hostfwd=a",
		"slirp,queue=1",
		"fd=2",
		"fd=x",
		"vmnet0",
		"tap-with-too-long-a-name",
		"netgraph,x",
		"slirp,mac=",
		"tap0,mac=0:0:0:0:0:0x",
	};
	struct net_options options;

	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (!net_options_parse(&options, bad[i]))
			unit_fail(__FILE__, __LINE__, "%s is taken", bad[i]);
		free(options.text);
	}
	CHECK(net_options_parse(&options, "slirp,hostfwd=tcp::22-:22,mtu=1400,hostfwd=x") == NULL);
	CHECK_EQ(options.forwards, 2);
	CHECK_EQ(options.mtu, 1400);
	free(options.text);
}
