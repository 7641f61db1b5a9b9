/* An AF_XDP receiver on libxdp, as its documentation and xdpsock have one: the peer of the benchmark. It prints "ready", spins on its
 * ring, and shares with whoever started it:
 *
 *   0          8      16         24        32            40 …
 *   | received | stop | disorder | samples | stamps      | u32 ns late, of each packet of a latency run
 *
 * usage: libxdp <interface> <core> <shared file> <port> <room for samples> <id of an XSKMAP>
 *
 * With an id other than 0 the socket is entered there, for a program that is attached already; with 0 libxdp loads its own, which
 * redirects every frame of the queue.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <linux/if_link.h>
#include <bpf/bpf.h>
#include <xdp/xsk.h>

#define FRAMES 4096 /* xdpsock's */
#define FRAME_SIZE XSK_UMEM__DEFAULT_FRAME_SIZE
#define BATCH 64

struct shared {
	volatile unsigned long received, stop, disorder, samples, stamps;
	unsigned int late[];
};

static void die(const char *what, int err)
{
	fprintf(stderr, "%s: %s\n", what, strerror(err < 0 ? -err : err));
	exit(1);
}

int main(int argc, char **argv)
{
	if (argc != 7)
		die("arguments", EINVAL);
	unsigned long room = strtoul(argv[5], 0, 10);
	unsigned short port = atoi(argv[4]);
	__u32 map = strtoul(argv[6], 0, 10);
	int file = open(argv[3], O_RDWR);
	if (file < 0)
		die(argv[3], errno);
	struct shared *sh = mmap(0, sizeof(*sh) + room * 4, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, file, 0);
	if (sh == MAP_FAILED)
		die("mmap", errno);
	cpu_set_t set;
	CPU_ZERO(&set);
	CPU_SET(atoi(argv[2]), &set);
	sched_setaffinity(0, sizeof(set), &set);

	size_t size = (size_t)FRAMES * FRAME_SIZE;
	void *mem = mmap(0, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	struct xsk_ring_prod fill;
	struct xsk_ring_cons completion, rx;
	struct xsk_umem *umem;
	struct xsk_socket *xsk;
	struct xsk_umem_config uc = {
		.fill_size = FRAMES, .comp_size = XSK_RING_CONS__DEFAULT_NUM_DESCS, .frame_size = FRAME_SIZE,
	};
	int err = xsk_umem__create(&umem, mem, size, &fill, &completion, &uc);
	if (err)
		die("xsk_umem__create", err);
	__u32 idx = 0;
	if (xsk_ring_prod__reserve(&fill, FRAMES, &idx) != FRAMES)
		die("fill", ENOSPC);
	for (int i = 0; i < FRAMES; i++)
		*xsk_ring_prod__fill_addr(&fill, idx++) = (__u64)i * FRAME_SIZE;
	xsk_ring_prod__submit(&fill, FRAMES);
	struct xsk_socket_config sc = {
		.rx_size = XSK_RING_CONS__DEFAULT_NUM_DESCS, .xdp_flags = XDP_FLAGS_DRV_MODE,
		.bind_flags = XDP_COPY | XDP_USE_NEED_WAKEUP,
		.libxdp_flags = map ? XSK_LIBXDP_FLAGS__INHIBIT_PROG_LOAD : 0,
	};
	err = xsk_socket__create(&xsk, argv[1], 0, umem, &rx, NULL, &sc);
	if (err)
		die("xsk_socket__create", err);
	if (map) {
		int fd = bpf_map_get_fd_by_id(map);
		if (fd < 0)
			die("map", errno);
		err = xsk_socket__update_xskmap(xsk, fd);
		if (err)
			die("xsk_socket__update_xskmap", err);
		close(fd);
	}
	printf("ready\n");
	fflush(stdout);

	pid_t parent = getppid();
	unsigned long turns = 0, stamps = 0, received = 0, disorder = 0, last = 0, samples = 0;
	while (!sh->stop) {
		__u32 from = 0, to = 0;
		unsigned n = xsk_ring_cons__peek(&rx, BATCH, &from);
		if (!n) {
			if (xsk_ring_prod__needs_wakeup(&fill))
				recvfrom(xsk_socket__fd(xsk), NULL, 0, MSG_DONTWAIT, NULL, NULL);
			if (!(++turns & 0xFFFFFFF) && getppid() != parent)
				return 1; /* whoever started it was killed */
			continue;
		}
		unsigned long now = 0;
		if (room) {
			struct timespec ts;
			clock_gettime(CLOCK_MONOTONIC, &ts);
			now = ts.tv_sec * 1000000000ul + ts.tv_nsec;
		}
		while (xsk_ring_prod__reserve(&fill, n, &to) != n)
			if (sh->stop)
				return 0;
		for (unsigned i = 0; i < n; i++) {
			const struct xdp_desc *d = xsk_ring_cons__rx_desc(&rx, from++);
			const unsigned char *b = xsk_umem__get_data(mem, xsk_umem__add_offset_to_addr(d->addr));
			if (map) { /* the program's stamp, where bpf/rx.bpf.c draws it */
				__u64 stamp;
				memcpy(&stamp, b - 24, 8);
				stamps += stamp;
			}
			unsigned short udp = d->len < 42 ? 0 : b[38] << 8 | b[39];
			if (d->len >= 42 && b[12] == 8 && b[13] == 0 && b[14] == 0x45 && b[23] == 17 && (b[36] << 8 | b[37]) == port) {
				if (udp < 8 + 28 || 34u + udp > d->len) {
					disorder++;
				} else {
					__u64 number, due;
					memcpy(&number, b + 42 + 10, 8);
					number = __builtin_bswap64(number);
					disorder += number <= last;
					last = number;
					received++;
					if (now && samples < room) {
						memcpy(&due, b + 42 + 20, 8);
						sh->late[samples++] = now < due ? 0 : now - due > 0xFFFFFFFFul ? 0xFFFFFFFFu : now - due;
					}
				}
			}
			*xsk_ring_prod__fill_addr(&fill, to++) = xsk_umem__extract_addr(d->addr);
		}
		xsk_ring_prod__submit(&fill, n);
		xsk_ring_cons__release(&rx, n);
		sh->stamps = stamps;
		sh->samples = samples;
		sh->disorder = disorder;
		sh->received = received;
	}
	xsk_socket__delete(xsk);
	xsk_umem__delete(umem);
	return 0;
}
