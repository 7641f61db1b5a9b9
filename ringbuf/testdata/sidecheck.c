/* Checks, from another process, the files beside a ring while Go writes them: sidecheck DIR SECONDS. See side_c_test.go. */
#include "tickring.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static char path[4096];

static const char *in(const char *dir, const char *name)
{
	snprintf(path, sizeof path, "%s/%s", dir, name);
	return path;
}

static int fail(const char *what, int code)
{
	printf("%s: %s\n", what, tw_strerror(code));
	return 1;
}

static void sum(void *with, const char *name, uint64_t value)
{
	if (strcmp(name, "0.lane.messages") == 0)
		*(uint64_t *)with = value;
}

static tw_mbo recs[1 << 16];

int main(int argc, char **argv)
{
	tw_side inst, last, snap, stats;
	tw_ring ring;
	tw_inst entry;
	tw_mbp1_slot quote;
	tw_snapshot info;
	tw_mbo rec;
	uint64_t until, reads = 0, bad = 0, joins = 0, busy = 0, messages = 0, i;
	int err, k;
	if (argc != 3)
		return 2;
	if ((err = tw_inst_open(&inst, in(argv[1], "f.0.inst"))) != 0)
		return fail("inst", err);
	if ((err = tw_last_open(&last, in(argv[1], "f.0.last"))) != 0)
		return fail("last", err);
	if ((err = tw_snap_open(&snap, in(argv[1], "f.0.snap"))) != 0)
		return fail("snap", err);
	if ((err = tw_stats_open(&stats, in(argv[1], "f.stats"))) != 0)
		return fail("stats", err);
	if ((err = tw_ring_open(&ring, in(argv[1], "f.0.mbo.ring"))) != 0)
		return fail("ring", err);
	if (tw_inst_lookup(&inst, 2, 7, &entry, NULL) != 0 || strcmp(entry.raw_symbol, "AAPL") != 0 || entry.round_lot != 100)
		return fail("entry 7", 0);
	if (tw_inst_find(&inst, "MSFT", &entry) != 0 || entry.instrument_id != 8)
		return fail("MSFT", 0);
	if (tw_inst_lookup(&inst, 2, 99, &entry, NULL) != TW_E_NOT_FOUND || tw_inst_lookup(&inst, 3, 7, &entry, NULL) != TW_E_NOT_FOUND ||
	    tw_last(&last, &inst, 2, 9, &quote) != TW_E_NOT_FOUND)
		return fail("what is not there", 0);
	until = tw_monotonic_ns_() + (uint64_t)(atof(argv[2]) * 1e9);
	while (tw_monotonic_ns_() < until) {
		for (k = 0; k < 64; k++) { /* every field of a value says the same number */
			err = tw_last(&last, &inst, 2, 7, &quote);
			if (err == TW_E_BUSY) {
				busy++;
				continue;
			}
			if (err != 0)
				return fail("last value", err);
			reads++;
			if ((uint64_t)quote.rec.price != quote.rec.hdr.ts_event || quote.ts_publish != quote.rec.hdr.ts_event || quote.rec.size != (uint32_t)quote.rec.hdr.ts_event)
				bad++;
		}
		err = tw_book_join(&ring, &snap, recs, sizeof recs / sizeof recs[0], &info);
		if (err == TW_E_BUSY || err == TW_E_TOO_OLD || err == TW_E_NOT_FOUND) {
			busy++;
			continue;
		}
		if (err != 0)
			return fail("join", err);
		/* The writer's k-th order is record k: a snapshot that holds at seq has the orders up to it, and seq+1 comes next. */
		for (i = 1; i < info.records; i++)
			if (recs[i].order_id != info.seq - (info.records - 1) + i || recs[i].hdr.ts_event != info.seq)
				bad++;
		while ((err = tw_ring_poll(&ring, &rec)) == TW_NONE && tw_monotonic_ns_() < until)
			;
		if (err == 1 && rec.order_id != info.seq + 1)
			bad++;
		joins += err == 1;
	}
	tw_stats_each(&stats, sum, &messages);
	printf("%" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", reads, joins, bad, busy, messages);
	return 0;
}
