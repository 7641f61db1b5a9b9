/*
 * quote: print the latest quote of a symbol and how many orders rest behind it, then leave.
 *
 *     cc -std=c99 -O2 -I ringbuf/c -o quote examples/ring-reader-c/quote.c
 *     ./quote /dev/shm/tickwire/main/nasdaq.0 2 AAPL        (folder/<feed>.<lane>, DBN publisher, symbol)
 *
 * It shows the two things that a strategy does when it starts late: the last value of an instrument (.last), and a book
 * (tw_book_join: the snapshot of all resting orders, and the mbo ring right behind it). A strategy would go on where this
 * one ends: apply recs to its books (R empties an instrument's, A adds an order at the end of its queue), then what
 * tw_ring_poll gives in the same way (and C takes a size away), and join again after TW_OVERRUN and TW_EPOCH.
 */
#include "tickring.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static int complain(const char *what, int err)
{
	fprintf(stderr, "%s: %s\n", what, tw_strerror(err));
	return 1;
}

static int open_side(int (*fn)(tw_side *, const char *), tw_side *s, const char *stem, const char *ext)
{
	char path[4096];
	int err;
	snprintf(path, sizeof path, "%s.%s", stem, ext);
	err = fn(s, path);
	return err != 0 ? complain(path, err) : 0;
}

static void print_price(int64_t px)
{
	uint64_t v = px < 0 ? (uint64_t)0 - (uint64_t)px : (uint64_t)px;
	if (px == TW_UNDEF_PRICE)
		printf("none");
	else
		printf("%s%" PRIu64 ".%09" PRIu64, px < 0 ? "-" : "", v / 1000000000u, v % 1000000000u);
}

static int print_quote(const char *stem, uint16_t publisher, const char *symbol, uint32_t *instrument)
{
	tw_side inst, last;
	tw_inst entry;
	tw_mbp1_slot quote;
	int err;
	if (open_side(tw_inst_open, &inst, stem, "inst") != 0)
		return 1;
	if (open_side(tw_last_open, &last, stem, "last") != 0) {
		tw_side_close(&inst);
		return 1;
	}
	err = tw_inst_find(&inst, publisher, symbol, &entry);
	if (err == 0)
		err = tw_last(&last, &inst, publisher, entry.instrument_id, &quote);
	if (err == 0) {
		*instrument = entry.instrument_id;
		printf("%s %" PRIu32 " @ ", symbol, quote.level.bid_sz);
		print_price(quote.level.bid_px);
		printf(" / ");
		print_price(quote.level.ask_px);
		printf(" @ %" PRIu32 "\n", quote.level.ask_sz);
		if (tw_side_silence(&last) > 1000000000u)
			printf("but nobody has been writing for %" PRIu64 " s\n", tw_side_silence(&last) / 1000000000u);
	}
	tw_side_close(&inst);
	tw_side_close(&last);
	return err != 0 ? complain(symbol, err) : 0;
}

/* Joins with patience for two snapshots and a new file: *recs is the caller's to free. */
static int join(tw_ring *ring, const char *stem, tw_mbo **recs, tw_snapshot *info)
{
	tw_side snap;
	uint64_t room = 0;
	int err = 0, tries;
	if (open_side(tw_snap_open, &snap, stem, "snap") != 0)
		return TW_E_OPEN;
	for (tries = 0; tries < 25; tries++) {
		struct timespec wait = {0, 100000000}; /* the next snapshot is a second away at most */
		err = tw_book_join(ring, &snap, *recs, room, info);
		if (err == 0)
			break;
		if (err == TW_E_NO_ROOM) {
			free(*recs);
			room = info->records + info->records / 4;
			*recs = (tw_mbo *)malloc((size_t)(room * sizeof **recs));
			if (*recs == NULL)
				break;
			continue;
		}
		if (err == TW_REPLACED) {
			tw_side_close(&snap);
			if (open_side(tw_snap_open, &snap, stem, "snap") != 0)
				return TW_E_OPEN;
			continue;
		}
		nanosleep(&wait, NULL);
	}
	tw_side_close(&snap);
	return err;
}

int main(int argc, char **argv)
{
	tw_ring ring;
	tw_snapshot info;
	tw_mbo *recs = NULL;
	char path[4096];
	uint64_t i, own = 0;
	uint32_t instrument = 0;
	int err;
	if (argc != 4) {
		fprintf(stderr, "usage: %s FOLDER/FEED.LANE PUBLISHER SYMBOL\n", argv[0]);
		return 2;
	}
	if (print_quote(argv[1], (uint16_t)atoi(argv[2]), argv[3], &instrument) != 0)
		return 1;
	snprintf(path, sizeof path, "%s.mbo.ring", argv[1]);
	if ((err = tw_ring_open(&ring, path)) != 0)
		return complain(path, err);
	err = join(&ring, argv[1], &recs, &info);
	if (err == 0) {
		for (i = 0; i < info.records; i++)
			own += recs[i].hdr.instrument_id == instrument && recs[i].action == 'A';
		printf("%" PRIu64 " of %" PRIu64 " resting orders are its own, as of record %" PRIu64 "; the ring goes on at %" PRIu64 "\n", own, info.orders,
		       info.seq, ring.next);
	}
	free(recs);
	tw_ring_close(&ring);
	return err != 0 ? complain("book", err) : 0;
}
