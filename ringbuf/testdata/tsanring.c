/*
 * tsanring: the protocol between two threads, for the race detector of gcc, which sees nothing that two processes do to
 * each other. The reader is tickring.h as it is, on a ring of 4 slots in plain memory; the writer is that of ABI.md,
 * section 3. Prints the number of records read and of bad ones; the sanitizer ends the program with its own code if it
 * finds a race.
 */
#include "tickring.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define SLOTS 4
#define RECORDS 200000

static unsigned char file[TW_HEADER_BYTES + SLOTS * 64] __attribute__((aligned(4096)));

static void put(unsigned char *p, uint64_t v, int order)
{
	if (order == __ATOMIC_RELEASE)
		__atomic_store_n((uint64_t *)(void *)p, v, __ATOMIC_RELEASE);
	else
		__atomic_store_n((uint64_t *)(void *)p, v, __ATOMIC_RELAXED);
}

static void *produce(void *unused)
{
	uint64_t n;
	int j;
	for (n = SLOTS; n < SLOTS + RECORDS; n++) {
		unsigned char *slot = file + TW_HEADER_BYTES + n % SLOTS * 64;
		put(slot, n - 1, __ATOMIC_RELAXED);
		__atomic_thread_fence(__ATOMIC_RELEASE);
		for (j = 1; j < 8; j++)
			put(slot + 8 * j, n * 1000 + (uint64_t)j, __ATOMIC_RELAXED);
		put(slot, n, __ATOMIC_RELEASE);
		put(file + TW_OFF_CURSOR, n, __ATOMIC_RELEASE);
	}
	return unused;
}

int main(void)
{
	tw_ring r;
	pthread_t writer;
	uint64_t i, rec[7], got = 0, bad = 0;
	int j, n;
	memset(&r, 0, sizeof r);
	for (i = 0; i < SLOTS; i++)
		put(file + TW_HEADER_BYTES + i * 64, i, __ATOMIC_RELAXED);
	put(file + TW_OFF_EPOCH_INTENT, 1, __ATOMIC_RELAXED);
	put(file + TW_OFF_EPOCH, 1, __ATOMIC_RELAXED);
	put(file + TW_OFF_FIRST, SLOTS, __ATOMIC_RELAXED);
	put(file + TW_OFF_CURSOR, SLOTS - 1, __ATOMIC_RELAXED);
	r.base_ = file;
	r.slots_ = file + TW_HEADER_BYTES;
	r.mask_ = SLOTS - 1;
	r.slot_bytes = 64;
	r.fd_ = -1;
	if (tw_ring_join(&r, TW_JOIN_LIVE) != 0 || r.next != SLOTS || pthread_create(&writer, NULL, produce, NULL) != 0)
		return 1;
	while (r.next < SLOTS + RECORDS) {
		n = tw_ring_poll(&r, rec);
		if (n != 1)
			continue;
		got++;
		for (j = 1; j < 8; j++)
			if (rec[j - 1] != (r.next - 1) * 1000 + (uint64_t)j) {
				bad++;
				break;
			}
	}
	pthread_join(writer, NULL);
	printf("%" PRIu64 " %" PRIu64 " %" PRIu64 "\n", got, bad, r.lost);
	return 0;
}
