/*
 * ring_tail: print the order events of a tickwire mbo ring, one line each, as they come.
 *
 *     cc -std=c99 -O2 -I ringbuf/c -o ring_tail examples/ring-reader-c/ring_tail.c
 *     ./ring_tail /dev/shm/tickwire/main/nasdaq.a.mbo.ring [live|half|oldest [COUNT]]
 *
 * It ends after COUNT records, or when the producer has ended and all is printed. It blocks between records; a
 * strategy would poll in a loop on a core of its own instead of calling tw_ring_wait.
 */
#include "tickring.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static void print_price(int64_t px)
{
	uint64_t v = px < 0 ? (uint64_t)0 - (uint64_t)px : (uint64_t)px;
	if (px == TW_UNDEF_PRICE)
		printf("-");
	else
		printf("%s%" PRIu64 ".%09" PRIu64, px < 0 ? "-" : "", v / 1000000000u, v % 1000000000u);
}

/* Status and gap records lie between order events in this ring; the header says which is which. */
static void print_record(uint64_t number, const tw_mbo *m)
{
	printf("%" PRIu64 " %" PRIu64 " ", number, m->hdr.ts_event);
	if (m->hdr.rtype == TW_RTYPE_MBO) {
		printf("%c %" PRIu32 " %c id %" PRIu64 " %" PRIu32 " @ ", m->action, m->hdr.instrument_id, m->side, m->order_id, m->size);
		print_price(m->price);
		printf("%s\n", m->flags & TW_F_LAST ? "" : " …");
	} else if (m->hdr.rtype == TW_RTYPE_STATUS) {
		tw_status s;
		memcpy(&s, m, sizeof s);
		printf("status %" PRIu32 " action %u trading %c\n", s.hdr.instrument_id, s.action, s.is_trading);
	} else if (m->hdr.rtype == TW_RTYPE_GAP) {
		tw_gap g;
		memcpy(&g, m, sizeof g);
		printf("gap %" PRIu64 " to %" PRIu64 " state %u\n", g.first, g.last, g.state);
	} else {
		printf("record of type 0x%02x\n", m->hdr.rtype);
	}
}

int main(int argc, char **argv)
{
	tw_ring ring;
	tw_mbo rec[64];
	uint64_t first, left = UINT64_MAX;
	int mode = TW_JOIN_LIVE, n, i;
	if (argc < 2 || argc > 4) {
		fprintf(stderr, "usage: %s RING [live|half|oldest [COUNT]]\n", argv[0]);
		return 2;
	}
	if (argc > 2 && strcmp(argv[2], "half") == 0)
		mode = TW_JOIN_HALF;
	if (argc > 2 && strcmp(argv[2], "oldest") == 0)
		mode = TW_JOIN_OLDEST;
	if (argc > 3)
		left = strtoull(argv[3], NULL, 10);
	n = tw_ring_open(&ring, argv[1]);
	if (n == 0)
		n = tw_ring_join(&ring, mode);
	if (n != 0) {
		fprintf(stderr, "%s: %s\n", argv[1], tw_strerror(n));
		return 1;
	}
	if (ring.kind != TW_KIND_MBO) {
		fprintf(stderr, "%s: not an mbo ring\n", argv[1]);
		return 1;
	}
	while (left > 0) {
		n = tw_ring_poll_batch(&ring, rec, left < 64 ? (int)left : 64, &first);
		for (i = 0; i < n; i++)
			print_record(first + (uint64_t)i, &rec[i]);
		if (n > 0) {
			left -= (uint64_t)n;
			continue;
		}
		fflush(stdout);
		if (n == TW_OVERRUN || n == TW_EPOCH)
			fprintf(stderr, "%s: %s, %" PRIu64 " records lost so far\n", tw_ring_name(&ring), tw_strerror(n), ring.lost);
		if (n == TW_STOPPED || n == TW_REPLACED)
			break;
		tw_ring_wait(&ring, 10000);
	}
	tw_ring_close(&ring);
	return 0;
}
