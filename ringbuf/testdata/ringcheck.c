/*
 * ringcheck: the C side of the tests across processes. Reads a ring for some milliseconds, checks that every payload word is
 * the function of the record's number that producer_test.go writes, and prints what it saw:
 *
 *     ringcheck RING MILLISECONDS [first-bad]
 *     read bad lost overruns epochs next epoch
 *
 * "joined" is printed before, as soon as reading begins. It ends when time is over, when the file is replaced, and with
 * first-bad at the first bad record.
 */
#include "tickring.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static uint64_t word_of(uint64_t number, uint64_t j)
{
	uint64_t x = number * UINT64_C(0x9E3779B97F4A7C15) + j * UINT64_C(0xBF58476D1CE4E5B9);
	return x ^ x >> 29;
}

int main(int argc, char **argv)
{
	static uint64_t rec[16 * 63];
	tw_ring ring;
	uint64_t first, got = 0, bad = 0, overruns = 0, epochs = 0, until;
	int n, i, words, batch = 1, stop_at_bad;
	if (argc < 3)
		return 2;
	stop_at_bad = argc > 3;
	n = tw_ring_open(&ring, argv[1]);
	if (n == 0)
		n = tw_ring_join(&ring, TW_JOIN_OLDEST);
	if (n != 0) {
		fprintf(stderr, "%s\n", tw_strerror(n));
		return 1;
	}
	words = (int)(ring.slot_bytes - 8) / 8;
	printf("joined\n");
	fflush(stdout);
	until = tw_monotonic_ns_() + strtoull(argv[2], NULL, 10) * 1000000u;
	for (;;) {
		if (batch > 1) { /* single polls and batches in turn */
			n = tw_ring_poll_batch(&ring, rec, batch, &first);
		} else {
			n = tw_ring_poll(&ring, rec);
			first = ring.next - 1;
		}
		batch = batch % 16 + 1;
		for (i = 0; i < n * words; i++)
			if (rec[i] != word_of(first + (uint64_t)(i / words), (uint64_t)(i % words))) {
				bad++;
				i += words - 1 - i % words;
			}
		if (n > 0)
			got += (uint64_t)n;
		overruns += n == TW_OVERRUN;
		epochs += n == TW_EPOCH;
		if (n == TW_REPLACED || (bad > 0 && stop_at_bad))
			break;
		if (n <= 0 && tw_monotonic_ns_() >= until)
			break;
		if (n > 0 && got % 1024 < 16 && tw_monotonic_ns_() >= until)
			break;
	}
	printf("%" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", got, bad, ring.lost, overruns, epochs,
	       ring.next, ring.epoch);
	tw_ring_close(&ring);
	return 0;
}
