/*
 * quote: print the latest quote of a symbol and how many orders rest behind it, then leave.
 *
 *     cc -std=c99 -O2 -I ringbuf/c -o quote examples/ring-reader-c/quote.c
 *     ./quote /dev/shm/tickwire/main/nasdaq.0 2 AAPL        (folder/<feed>.<lane>, DBN publisher, symbol)
 *
 * It shows the two things that a strategy does when it starts late: the last value of an instrument (.last), and a book
 * (tw_book_join: the snapshot of all resting orders, and the mbo ring right behind it).
 */
#include "tickring.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static int open_side(int (*fn)(tw_side *, const char *), tw_side *s, const char *stem, const char *ext)
{
	char path[4096];
	int err;
	snprintf(path, sizeof path, "%s.%s", stem, ext);
	err = fn(s, path);
	if (err != 0)
		fprintf(stderr, "%s: %s\n", path, tw_strerror(err));
	return err;
}

static void print_price(int64_t px)
{
	if (px == TW_UNDEF_PRICE)
		printf("none");
	else
		printf("%" PRId64 ".%09" PRId64, px / 1000000000, px % 1000000000);
}

int main(int argc, char **argv)
{
	tw_side inst, last, snap;
	tw_ring ring;
	tw_inst entry;
	tw_mbp1_slot quote;
	tw_snapshot info;
	tw_mbo *recs = NULL;
	char path[4096];
	uint64_t room = 0, i, resting = 0;
	int err, tries;
	if (argc != 4) {
		fprintf(stderr, "usage: %s FOLDER/FEED.LANE PUBLISHER SYMBOL\n", argv[0]);
		return 2;
	}
	if (open_side(tw_inst_open, &inst, argv[1], "inst") != 0 || open_side(tw_last_open, &last, argv[1], "last") != 0 ||
	    open_side(tw_snap_open, &snap, argv[1], "snap") != 0)
		return 1;
	if ((err = tw_inst_find(&inst, argv[3], &entry)) != 0) {
		fprintf(stderr, "%s: %s\n", argv[3], tw_strerror(err));
		return 1;
	}
	err = tw_last(&last, &inst, (uint16_t)atoi(argv[2]), entry.instrument_id, &quote);
	if (err != 0) {
		fprintf(stderr, "%s: %s\n", argv[3], tw_strerror(err));
		return 1;
	}
	printf("%s %" PRIu32 " @ ", argv[3], quote.level.bid_sz);
	print_price(quote.level.bid_px);
	printf(" / ");
	print_price(quote.level.ask_px);
	printf(" @ %" PRIu32 "\n", quote.level.ask_sz);

	snprintf(path, sizeof path, "%s.mbo.ring", argv[1]);
	if ((err = tw_ring_open(&ring, path)) != 0) {
		fprintf(stderr, "%s: %s\n", path, tw_strerror(err));
		return 1;
	}
	for (tries = 0, err = TW_E_NO_ROOM; err != 0 && tries < 20; tries++) {
		err = tw_book_join(&ring, &snap, recs, room, &info);
		if (err == TW_E_NO_ROOM) {
			free(recs);
			room = info.records + info.records / 4;
			recs = (tw_mbo *)malloc((size_t)(room * sizeof *recs));
			if (recs == NULL)
				return 1;
		} else if (err != 0) {
			struct timespec wait = {0, 100000000}; /* the next snapshot is a second away at most */
			nanosleep(&wait, NULL);
		}
	}
	if (err != 0) {
		fprintf(stderr, "%s: %s\n", path, tw_strerror(err));
		return 1;
	}
	for (i = 0; i < info.records; i++)
		resting += recs[i].hdr.instrument_id == entry.instrument_id && recs[i].action == 'A';
	printf("%" PRIu64 " of %" PRIu64 " resting orders are its own, as of record %" PRIu64 "; the ring goes on at %" PRIu64 "\n", resting,
	       info.orders, info.seq, ring.next);
	free(recs);
	tw_ring_close(&ring);
	tw_side_close(&inst);
	tw_side_close(&last);
	tw_side_close(&snap);
	return 0;
}
