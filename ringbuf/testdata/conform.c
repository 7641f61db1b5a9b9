/*
 * The C side of the conformance test (conformance_test.go says what the commands are): reads commands, a line each, and
 * answers with lines that end with ".".
 */
#include "tickring.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static tw_ring ring;
static tw_side dir;
static int opened, dir_opened;

static uint64_t word_of(uint64_t number, uint64_t j)
{
	uint64_t x = number * UINT64_C(0x9E3779B97F4A7C15) + j * UINT64_C(0xBF58476D1CE4E5B9);
	return x ^ x >> 29;
}

static int bad(const uint64_t *rec, int words, uint64_t number)
{
	int j;
	for (j = 0; j < words; j++)
		if (rec[j] != word_of(number, (uint64_t)j))
			return 1;
	return 0;
}

static const char *name_of(int code)
{
	switch (code) {
	case TW_NONE: return "none";
	case TW_OVERRUN: return "overrun";
	case TW_EPOCH: return "epoch";
	case TW_REPLACED: return "replaced";
	case TW_SILENT: return "silent";
	case TW_STOPPED: return "stopped";
	case TW_E_OPEN: return "open";
	case TW_E_SHORT: return "short";
	case TW_E_MAP: return "map";
	case TW_E_MAGIC: return "magic";
	case TW_E_BYTE_ORDER: return "byte order";
	case TW_E_VERSION: return "version";
	case TW_E_HEADER_SIZE: return "header size";
	case TW_E_SLOT_SIZE: return "slot size";
	case TW_E_CAPACITY: return "capacity";
	case TW_E_OFFSET: return "offset";
	case TW_E_FILE_SIZE: return "file size";
	case TW_E_DBN_VERSION: return "dbn version";
	case TW_E_RESTARTING: return "restarting";
	case TW_E_TOO_OLD: return "too old";
	case TW_E_TOO_FAR: return "too far";
	case TW_E_NOT_FOUND: return "not found";
	case TW_E_BUSY: return "busy";
	default: return "unknown";
	}
}

static int join_of(const char *s)
{
	return strcmp(s, "half") == 0 ? TW_JOIN_HALF : strcmp(s, "oldest") == 0 ? TW_JOIN_OLDEST : TW_JOIN_LIVE;
}

/* Single polls when the batch is 1, so that both are tried. */
static int poll_(void *recs, int batch, uint64_t *first)
{
	*first = ring.next;
	return batch == 1 ? tw_ring_poll(&ring, recs) : tw_ring_poll_batch(&ring, recs, batch, first);
}

static void header(const char *type, const tw_hdr *h)
{
	printf("%s %u %u %u %" PRIu32 " %" PRIu64, type, h->rtype, h->length, h->publisher_id, h->instrument_id, h->ts_event);
}

static void trade(const char *type, const tw_trade *t)
{
	header(type, &t->hdr);
	printf(" %" PRId64 " %" PRIu32 " %u %u %u %u %" PRIu64 " %" PRId32 " %" PRIu32, t->price, t->size, (unsigned char)t->action, (unsigned char)t->side,
	       t->flags, t->depth, t->ts_recv, t->ts_in_delta, t->sequence);
}

static void print_record(const void *p)
{
	const tw_hdr *h = (const tw_hdr *)p;
	if (ring.kind == TW_KIND_TRADES) {
		const tw_trade_slot *t = (const tw_trade_slot *)p;
		trade("trade", &t->rec);
		printf(" %" PRIu64, t->match_id);
	} else if (ring.kind == TW_KIND_MBP1) {
		const tw_mbp1_slot *m = (const tw_mbp1_slot *)p;
		const tw_level *l = &m->level;
		trade("mbp1", &m->rec);
		printf(" %" PRId64 " %" PRId64 " %" PRIu32 " %" PRIu32 " %" PRIu32 " %" PRIu32 " %" PRIu64, l->bid_px, l->ask_px, l->bid_sz, l->ask_sz, l->bid_ct,
		       l->ask_ct, m->ts_publish);
		printf(" %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64, m->plugin[0], m->plugin[1], m->plugin[2], m->plugin[3]);
	} else if (h->rtype == TW_RTYPE_STATUS) {
		const tw_status *s = (const tw_status *)p;
		header("status", h);
		printf(" %" PRIu64 " %u %u %u %u %u %u", s->ts_recv, s->action, s->reason, s->trading_event, (unsigned char)s->is_trading,
		       (unsigned char)s->is_quoting, (unsigned char)s->is_short_sell_restricted);
	} else if (h->rtype == TW_RTYPE_GAP) {
		const tw_gap *g = (const tw_gap *)p;
		header("gap", h);
		printf(" %" PRIu64 " %" PRIu64 " %" PRIu64 " %u %u %u %" PRIu64, g->first, g->last, g->ts_recv, g->state, g->channel_id, g->line, g->messages);
	} else if (ring.kind == TW_KIND_MBO) {
		const tw_mbo *m = (const tw_mbo *)p;
		header("mbo", h);
		printf(" %" PRIu64 " %" PRId64 " %" PRIu32 " %u %u %u %u %" PRIu64 " %" PRId32 " %" PRIu32, m->order_id, m->price, m->size, m->flags,
		       m->channel_id, (unsigned char)m->action, (unsigned char)m->side, m->ts_recv, m->ts_in_delta, m->sequence);
	}
}

/* Reads until a look at the header gave nothing new. */
static void drain(int batch, int typed)
{
	static uint64_t recs[4096 * 63];
	static char events[1 << 16];
	int words = (int)(ring.slot_bytes - 8) / 8, looked = 0, n, i, j;
	size_t used = 0;
	uint64_t first, got = 0, wrong = 0, sum = 0;
	events[0] = 0;
	for (;;) {
		n = poll_(recs, batch, &first);
		for (i = 0; i < n; i++) {
			const uint64_t *rec = recs + i * words;
			if (typed) {
				printf("%" PRIu64 " ", first + (uint64_t)i);
				print_record(rec);
				printf("\n");
			}
			got++;
			wrong += (uint64_t)bad(rec, words, first + (uint64_t)i);
			for (j = 0; j < words; j++)
				sum = (sum ^ rec[j]) * UINT64_C(0x100000001b3);
		}
		if (n > 0) {
			looked = 0;
		} else if (n == TW_OVERRUN || n == TW_EPOCH) {
			if (used < sizeof events - 64)
				used += (size_t)snprintf(events + used, 64, "%s@%" PRIu64 " ", name_of(n), ring.next);
			looked = 0;
		} else if (n == TW_NONE && !looked) {
			tw_ring_wait(&ring, 0);
			looked = 1;
		} else {
			break;
		}
	}
	if (typed)
		printf("typed ");
	else
		printf("drain read %" PRIu64 " bad %" PRIu64 " sum %" PRIx64 " ", got, wrong, sum);
	printf("lost %" PRIu64 " next %" PRIu64 " epoch %" PRIu64 " events %send %s\n", ring.lost, ring.next, ring.epoch, events, name_of(n));
}

/* Reads at full speed for some milliseconds (sleeping while there is nothing, when asked to) and checks every word. */
static void follow(uint64_t ms, int sleeps)
{
	static uint64_t recs[16 * 63];
	int words = (int)(ring.slot_bytes - 8) / 8, n, i, turn;
	uint64_t until = tw_monotonic_ns_() + ms * 1000000u;
	uint64_t first, got = 0, wrong = 0, overruns = 0, epochs = 0;
	for (turn = 1;; turn++) {
		n = poll_(recs, turn % 16 + 1, &first);
		for (i = 0; i < n; i++)
			wrong += (uint64_t)bad(recs + i * words, words, first + (uint64_t)i);
		if (n > 0)
			got += (uint64_t)n;
		else if (n == TW_OVERRUN)
			overruns++;
		else if (n == TW_EPOCH)
			epochs++;
		else if (n == TW_REPLACED)
			break;
		else if (sleeps)
			tw_ring_wait(&ring, 1000);
		if (turn % 256 == 0 && tw_monotonic_ns_() >= until)
			break;
	}
	printf("follow read %" PRIu64 " bad %" PRIu64 " overruns %" PRIu64 " epochs %" PRIu64 " lost %" PRIu64 " next %" PRIu64 " epoch %" PRIu64 "\n", got,
	       wrong, overruns, epochs, ring.lost, ring.next, ring.epoch);
}

/* Reads all that the ring has, again and again. */
static int speed(int batch, uint64_t ms)
{
	static uint64_t recs[4096 * 63];
	int words = (int)(ring.slot_bytes - 8) / 8, n, i;
	uint64_t begin = tw_monotonic_ns_(), first, got = 0, sum = 0;
	while (tw_monotonic_ns_() - begin < ms * 1000000u) {
		int err = tw_ring_join(&ring, TW_JOIN_OLDEST);
		if (err != 0)
			return err;
		while ((n = poll_(recs, batch, &first)) > 0) {
			got += (uint64_t)n;
			for (i = 0; i < n; i++)
				sum += recs[i * words + 3];
		}
	}
	printf("speed %" PRIu64 " %" PRIu64 " %" PRIx64 "\n", got, tw_monotonic_ns_() - begin, sum);
	return 0;
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return x < y ? -1 : x > y;
}

/* ns from the time in each record's first word to the clock after it was validated. */
static void latency(uint64_t ms)
{
	static uint64_t rec[63], ns[1 << 20];
	uint64_t until = tw_monotonic_ns_() + ms * 1000000u, now = 0;
	size_t n = 0;
	while (now < until && n < sizeof ns / sizeof *ns) {
		int got = tw_ring_poll(&ring, rec);
		now = tw_monotonic_ns_();
		if (got == 1)
			ns[n++] = now > rec[0] ? now - rec[0] : 0;
	}
	qsort(ns, n, sizeof *ns, by_value);
	printf("latency %zu %" PRIu64 " %" PRIu64 "\n", n, n == 0 ? 0 : ns[n / 2], n == 0 ? 0 : ns[n * 9 / 10]);
}

static int instrument(int err, const tw_inst *i)
{
	if (err == 0)
		printf("inst %" PRIu32 " %u %u %u %s %" PRId64 " %" PRId32 " %" PRId32 " %d %u %u %.8s %" PRIu64 "\n", i->instrument_id, i->publisher_id,
		       (unsigned char)i->instrument_class, i->flags, i->raw_symbol, i->min_price_increment, i->round_lot, i->contract_multiplier, i->decimals,
		       i->status_action, i->channel, i->mic, i->definition_offset);
	return err;
}

static int answer(char *a[])
{
	int err, i;
	tw_inst inst;
	if (strcmp(a[0], "open") == 0) {
		if (opened)
			tw_ring_close(&ring);
		opened = 0;
		err = tw_ring_open(&ring, a[1]);
		if (err == 0)
			err = tw_ring_join(&ring, join_of(a[2]));
		if (err != 0)
			return err;
		opened = 1;
		ring.stale_ns = strtoull(a[3], NULL, 10) * 1000000u;
		printf("open kind %" PRIu32 " slot %" PRIu32 " slots %" PRIu64 " name %s dataset %.16s uuid ", ring.kind, ring.slot_bytes, tw_ring_slots(&ring),
		       tw_ring_name(&ring), (const char *)ring.base_ + TW_OFF_DATASET);
		for (i = 0; i < 16; i++)
			printf("%02x", tw_ring_uuid(&ring)[i]);
		printf(" minor %u publisher %u channel %u next %" PRIu64 " epoch %" PRIu64 "\n", (unsigned)ring.base_[TW_OFF_MINOR] | (unsigned)ring.base_[TW_OFF_MINOR + 1] << 8,
		       *(const uint16_t *)(const void *)(ring.base_ + TW_OFF_PUBLISHER), *(const uint16_t *)(const void *)(ring.base_ + TW_OFF_CHANNEL), ring.next,
		       ring.epoch);
		return 0;
	}
	if (strcmp(a[0], "instopen") == 0) {
		if (dir_opened)
			tw_side_close(&dir);
		err = tw_inst_open(&dir, a[1]);
		dir_opened = err == 0;
		if (err == 0)
			printf("instopen capacity %" PRIu64 " count %" PRIu64 "\n", tw_side_capacity(&dir), tw_acquire64_(dir.base_ + TW_SIDE_OFF_COUNT));
		return err;
	}
	if (strcmp(a[0], "lookup") == 0)
		return instrument(tw_inst_lookup(&dir, (uint16_t)atoi(a[1]), (uint32_t)strtoull(a[2], NULL, 10), &inst, NULL), &inst);
	if (strcmp(a[0], "find") == 0)
		return instrument(tw_inst_find(&dir, (uint16_t)atoi(a[1]), a[2], &inst), &inst);
	if (strcmp(a[0], "drain") == 0) {
		drain(atoi(a[1]), 0);
	} else if (strcmp(a[0], "typed") == 0) {
		drain(16, 1);
	} else if (strcmp(a[0], "follow") == 0) {
		follow(strtoull(a[1], NULL, 10), a[2][0] == '1');
	} else if (strcmp(a[0], "latency") == 0) {
		latency(strtoull(a[1], NULL, 10));
	} else if (strcmp(a[0], "speed") == 0) {
		return speed(atoi(a[1]), strtoull(a[2], NULL, 10));
	} else if (strcmp(a[0], "join") == 0) {
		err = tw_ring_join(&ring, join_of(a[1]));
		if (err == 0)
			printf("join next %" PRIu64 " epoch %" PRIu64 "\n", ring.next, ring.epoch);
		return err;
	} else if (strcmp(a[0], "seek") == 0) {
		err = tw_ring_seek(&ring, strtoull(a[1], NULL, 10));
		if (err == 0)
			printf("seek next %" PRIu64 "\n", ring.next);
		return err;
	} else if (strcmp(a[0], "state") == 0) {
		printf("state %" PRIu32 " stamps %" PRIu32 " alive %d lag %" PRIu64 "\n", tw_ring_state(&ring), tw_ring_stamps(&ring), tw_ring_alive(&ring),
		       tw_ring_lag(&ring));
	} else if (strcmp(a[0], "wait") == 0) {
		printf("wait %s\n", tw_ring_wait(&ring, (uint32_t)atoi(a[1]) * 1000u) ? "true" : "false");
	} else if (strcmp(a[0], "stale") == 0) {
		ring.stale_ns = strtoull(a[1], NULL, 10) * 1000000u;
		printf("ok\n");
	} else {
		exit(2);
	}
	return 0;
}

int main(void)
{
	static char line[4096];
	while (fgets(line, sizeof line, stdin) != NULL) {
		char *a[8] = {NULL}, *save = NULL;
		int n = 0, err;
		char *word;
		for (word = strtok_r(line, " \n", &save); word != NULL && n < 8; word = strtok_r(NULL, " \n", &save))
			a[n++] = word;
		for (; n < 8; n++)
			a[n] = (char *)(uintptr_t) "";
		err = answer(a);
		if (err != 0)
			printf("error %s\n", name_of(err));
		printf(".\n");
		fflush(stdout);
	}
	return 0;
}
