/* SPDX-License-Identifier: MIT */
/*
 * loops WHAT ARGUMENT [ROUNDS [CALLS]]: do one thing over and over and print the nanoseconds of one, the least and the
 * median of ROUNDS rounds (50) of CALLS calls (2000) each.
 *
 *	open PATH	open it to read, and close it
 *	cold DIR	the same with 4096 files of the directory in turn, f0 to f4095, a round each of its own
 *	connect PORT	connect to it on loopback, and close
 *	udp PORT	connect a UDP socket there, which sends nothing: what the kernel decides, and little else
 *	exec PATH	start the program, and wait for it
 *	read PATH	read a byte of it, always the first
 *	write PATH	write it, over and over
 *
 * A call that fails ends it with 1. bench.py runs it inside and outside of sandboxes.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "start.h"

enum { ROUNDS_MAX = 1000, COLD_FILES = 4096 };

static int udp_fd = -1;

static bool open_path(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	return fd >= 0 && close(fd) == 0;
}

static bool open_next(const char *dir)
{
	static unsigned int next;
	char path[256];

	/* A step that has no factor in common with their number meets all of them, and no two neighbours. */
	next = (next + 1237) % COLD_FILES;
	snprintf(path, sizeof(path), "%s/f%u", dir, next);
	return open_path(path);
}

static struct sockaddr_in loopback(const char *port)
{
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port)) };

	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return sin;
}

static bool connect_once(const char *port)
{
	struct sockaddr_in sin = loopback(port);
	struct linger abort = { 1, 0 }; /* no TIME_WAIT: the ports would run out */
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool ok = fd >= 0 && connect(fd, (struct sockaddr *)&sin, sizeof(sin)) == 0 &&
		  setsockopt(fd, SOL_SOCKET, SO_LINGER, &abort, sizeof(abort)) == 0;

	return close(fd) == 0 && ok;
}

static bool connect_udp(const char *port)
{
	struct sockaddr_in sin = loopback(port);

	if (udp_fd < 0)
		udp_fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	return udp_fd >= 0 && connect(udp_fd, (struct sockaddr *)&sin, sizeof(sin)) == 0;
}

static bool start(const char *path)
{
	char *argv[] = { (char *)path, NULL };

	return start_and_wait(argv, NULL) == 0;
}

static int file_fd = -1;

static bool read_byte(const char *path)
{
	char byte;

	if (file_fd < 0)
		file_fd = open(path, O_RDONLY | O_CLOEXEC);
	return pread(file_fd, &byte, 1, 0) == 1;
}

static bool write_byte(const char *path)
{
	if (file_fd < 0)
		file_fd = open(path, O_WRONLY | O_CLOEXEC);
	return pwrite(file_fd, "x", 1, 0) == 1;
}

static const struct {
	const char *name;
	bool (*call)(const char *argument);
} loops[] = {
	{ "open", open_path },	 { "cold", open_next }, { "connect", connect_once },
	{ "udp", connect_udp },	 { "exec", start },	{ "read", read_byte },
	{ "write", write_byte },
};

static int by_size(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
	long rounds = argc > 3 ? strtol(argv[3], NULL, 10) : 50;
	long calls = argc > 4 ? strtol(argv[4], NULL, 10) : 2000;
	bool (*call)(const char *argument) = NULL;
	static uint64_t took[ROUNDS_MAX];

	for (size_t i = 0; argc > 2 && i < sizeof(loops) / sizeof(loops[0]); i++)
		if (strcmp(argv[1], loops[i].name) == 0)
			call = loops[i].call;
	if (!call || rounds < 1 || rounds > ROUNDS_MAX || calls < 1) {
		fprintf(stderr,
			"usage: loops open|cold|connect|udp|exec|read|write ARGUMENT [ROUNDS [CALLS]]\n");
		return 2;
	}
	for (long round = 0; round < rounds; round++) {
		uint64_t begin = now_ns();

		for (long i = 0; i < calls; i++)
			if (!call(argv[2])) {
				perror(argv[2]);
				return 1;
			}
		took[round] = now_ns() - begin;
	}
	qsort(took, (size_t)rounds, sizeof(took[0]), by_size);
	printf("%.1f %.1f\n", (double)took[0] / (double)calls, (double)took[rounds / 2] / (double)calls);
	return 0;
}
