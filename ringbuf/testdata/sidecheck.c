/* Checks, from another process, the files beside a ring while Go writes them. See side_c_test.go.
 *
 *     sidecheck DIR SECONDS     reads all that time and prints counts
 *     sidecheck DIR snapshots   reads snapshots for half a second, written without a pause, and prints counts
 *     sidecheck DIR replaced    opens, says so, waits for a line, and prints what the old and the new files say
 */
#include "tickring.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static tw_side inst, last, snap, stats;
static tw_ring ring;
static tw_mbo recs[1 << 16];
static tw_snapshot info;
static tw_inst entry;
static tw_mbp1_slot quote;
static uint64_t reads, joins, bad, busy, messages;

static int fail(const char *what, int code)
{
	printf("%s: %s\n", what, tw_strerror(code));
	return 1;
}

static const char *in(const char *dir, const char *name)
{
	static char path[4096];
	snprintf(path, sizeof path, "%s/%s", dir, name);
	return path;
}

static int open_all(const char *dir)
{
	int err;
	if ((err = tw_inst_open(&inst, in(dir, "f.0.inst"))) != 0)
		return fail("inst", err);
	if ((err = tw_last_open(&last, in(dir, "f.0.last"))) != 0)
		return fail("last", err);
	if ((err = tw_snap_open(&snap, in(dir, "f.0.snap"))) != 0)
		return fail("snap", err);
	if ((err = tw_stats_open(&stats, in(dir, "f.stats"))) != 0)
		return fail("stats", err);
	if ((err = tw_ring_open(&ring, in(dir, "f.0.mbo.ring"))) != 0)
		return fail("ring", err);
	return 0;
}

static void close_all(void)
{
	tw_side_close(&inst);
	tw_side_close(&last);
	tw_side_close(&snap);
	tw_side_close(&stats);
	tw_ring_close(&ring);
}

static void sum(void *with, const char *name, int kind, uint64_t value)
{
	if (strcmp(name, "0.lane.messages") == 0 && kind == TW_STAT_COUNTER)
		*(uint64_t *)with = value;
}

/* Asks again, for a second, while the writer is at it: on a busy machine it may be stopped in the middle of a change. */
static int patience;
static int again(int err)
{
	struct timespec ms = {0, 1000000};
	if (err != TW_E_BUSY || patience >= 1000)
		return 0;
	patience++;
	nanosleep(&ms, NULL);
	return 1;
}
static int settled;
#define SETTLED(ask) ((void)(__extension__({ patience = 0; do settled = (ask); while (again(settled)); 0; })), settled)

/* What is there is found, what is not there is said to be missing. */
static int lookups(void)
{
	uint64_t i, index = 0, all = 0;
	if (SETTLED(tw_inst_lookup(&inst, 2, 7, &entry, &index)) != 0 || strcmp(entry.raw_symbol, "AAPL") != 0 || entry.round_lot != 100 || entry.flags != TW_INST_NAMED)
		return fail("entry 7", 0);
	if (SETTLED(tw_inst_at(&inst, index, &entry)) != 0 || entry.instrument_id != 7)
		return fail("entry 7 at its index", 0);
	if (SETTLED(tw_inst_find(&inst, 2, "MSFT", &entry)) != 0 || entry.instrument_id != 8)
		return fail("MSFT", 0);
	for (i = 0; i < tw_side_capacity(&inst); i++)
		all += SETTLED(tw_inst_at(&inst, i, &entry)) == 0;
	if (all != 4)
		return fail("all entries", 0);
	if (SETTLED(tw_inst_lookup(&inst, 2, 99, &entry, NULL)) != TW_E_NOT_FOUND || SETTLED(tw_inst_lookup(&inst, 3, 7, &entry, NULL)) != TW_E_NOT_FOUND ||
	    tw_inst_at(&inst, tw_side_capacity(&inst), &entry) != TW_E_NOT_FOUND || SETTLED(tw_inst_find(&inst, 2, "AAP", &entry)) != TW_E_NOT_FOUND ||
	    SETTLED(tw_inst_find(&inst, 3, "MSFT", &entry)) != TW_E_NOT_FOUND || SETTLED(tw_inst_find(&inst, 2, "", &entry)) != TW_E_NOT_FOUND ||
	    SETTLED(tw_last(&last, &inst, 2, 9, &quote)) != TW_E_NOT_FOUND || SETTLED(tw_last(&last, &inst, 2, 99, &quote)) != TW_E_NOT_FOUND)
		return fail("what is not there", 0);
	if (SETTLED(tw_last(&last, &inst, 2, 5, &quote)) != TW_E_NOT_FOUND) /* its place holds a value of another */
		return fail("a value of another instrument", 0);
	return 0;
}

/* The last word of a value is the sum of the others, each times its place: a mixture of two values fails. */
static int whole(const tw_mbp1_slot *q)
{
	uint64_t words[15], sum_of = 0, i;
	memcpy(words, q, sizeof words);
	for (i = 0; i < 14; i++)
		sum_of += words[i] * (2 * i + 1);
	return sum_of == words[14];
}

static int values(void)
{
	int k, err;
	for (k = 0; k < 64; k++) {
		err = tw_last(&last, &inst, 2, 7, &quote);
		if (err == TW_E_BUSY) {
			busy++;
			continue;
		}
		if (err != 0)
			return fail("last value", err);
		reads++;
		bad += !whole(&quote) || quote.ts_publish != quote.rec.hdr.ts_event;
		err = tw_inst_lookup(&inst, 2, 8, &entry, NULL); /* the writer moves its times with each record */
		if (err == TW_E_BUSY) {
			busy++;
			continue;
		}
		if (err != 0)
			return fail("entry 8", err);
		bad += (uint64_t)entry.min_price_increment != entry.updated || (uint64_t)entry.strike != entry.updated || entry.activation != entry.updated ||
		       entry.expiration != entry.updated || entry.definition_offset != entry.updated;
	}
	return 0;
}

/* The writer's k-th order is record k: a snapshot that holds at seq has the orders up to it, and seq+1 comes next. */
static int join(uint64_t until)
{
	tw_mbo rec;
	uint64_t i;
	int err = tw_book_join(&ring, &snap, recs, sizeof recs / sizeof recs[0], &info);
	if (err == TW_E_BUSY || err == TW_E_TOO_OLD) {
		busy++;
		return 0;
	}
	if (err != 0)
		return fail("join", err);
	bad += info.records != info.orders + 1 || info.ts != info.seq;
	for (i = 1; i < info.records; i++)
		bad += recs[i].order_id != info.seq - (info.records - 1) + i || recs[i].hdr.ts_event != info.seq;
	while ((err = tw_ring_poll(&ring, &rec)) == TW_NONE && tw_monotonic_ns_() < until)
		;
	bad += err == 1 && rec.order_id != info.seq + 1;
	joins += err == 1;
	return 0;
}

/* Every record of a snapshot, and its line, says the snapshot's number. */
static int snapshots(void)
{
	uint64_t until = tw_monotonic_ns_() + 500000000u, i;
	while (tw_monotonic_ns_() < until) {
		int err = tw_snap_read(&snap, recs, 1 << 16, &info);
		if (err == TW_E_BUSY) {
			busy++;
			continue;
		}
		if (err != 0)
			return fail("snapshot", err);
		reads++;
		bad += info.ts != info.seq || info.epoch != info.seq || info.orders != info.records;
		for (i = 0; i < info.records; i++)
			bad += recs[i].order_id != info.seq || recs[i].hdr.ts_event != info.seq || recs[i].ts_recv != info.seq;
	}
	printf("%" PRIu64 " %" PRIu64 " %" PRIu64 "\n", reads, bad, busy);
	return 0;
}

static int replaced(const char *dir)
{
	tw_side empty;
	printf("open\n");
	fflush(stdout);
	if (getchar() == EOF)
		return fail("no line", 0);
	printf("%d %d %d %d %d %d\n", tw_inst_lookup(&inst, 2, 7, &entry, NULL), tw_inst_find(&inst, 2, "AAPL", &entry), tw_last(&last, &inst, 2, 7, &quote),
	       tw_snap_read(&snap, recs, 1 << 16, &info), tw_book_join(&ring, &snap, recs, 1 << 16, &info), tw_side_replaced(&stats));
	if (tw_last_open(&empty, in(dir, "f.0.last")) != 0) /* new values beside the old directory */
		return fail("new last", 0);
	printf("%d\n", tw_last(&empty, &inst, 2, 7, &quote));
	tw_side_close(&empty);
	close_all();
	if (open_all(dir) != 0)
		return 1;
	printf("%d %d %d\n", tw_inst_lookup(&inst, 2, 7, &entry, NULL), tw_last(&last, &inst, 2, 7, &quote), tw_snap_read(&snap, NULL, 0, &info));
	return 0;
}

int main(int argc, char **argv)
{
	uint64_t until;
	if (argc != 3)
		return 2;
	if (open_all(argv[1]) != 0)
		return 1;
	if (strcmp(argv[2], "replaced") == 0)
		return replaced(argv[1]);
	if (strcmp(argv[2], "snapshots") == 0)
		return snapshots();
	if (lookups() != 0)
		return 1;
	if (tw_snap_read(&snap, NULL, 0, &info) != TW_E_NO_ROOM || info.records != 101)
		return fail("size of the snapshot", 0);
	if (tw_side_silence(&snap) > 60000000000u || tw_side_state(&snap) != TW_STATE_RUNNING || tw_side_generation(&inst) != 1)
		return fail("signs of life", 0);
	until = tw_monotonic_ns_() + (uint64_t)(atof(argv[2]) * 1e9);
	while (tw_monotonic_ns_() < until)
		if (values() != 0 || join(until) != 0)
			return 1;
	tw_ring_close(&ring);
	if (tw_ring_open(&ring, in(argv[1], "f.0.trades.ring")) != 0 || tw_book_join(&ring, &snap, recs, 1 << 16, &info) != TW_E_NOT_MBO)
		return fail("a ring of trades", 0);
	tw_stats_each(&stats, sum, &messages);
	printf("%" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", reads, joins, bad, busy, messages);
	close_all();
	return 0;
}
