/*
 * tickring.h: read tickwire's shared-memory rings. One header, C99 or C++11, gcc or clang, 64-bit little-endian Linux.
 *
 *     #include "tickring.h"
 *
 *     tw_ring ring;
 *     tw_mbo rec[64];
 *     uint64_t first;
 *     if (tw_ring_open(&ring, "/dev/shm/tickwire/main/nasdaq.a.mbo.ring") != 0) …
 *     for (;;) {
 *         int n = tw_ring_poll_batch(&ring, rec, 64, &first);
 *         if (n > 0) use(rec, n);                    // whole records, in order, private copies
 *         else if (n == TW_OVERRUN) drop_books();    // ring.lost has grown by exactly what was missed
 *     }
 *
 * The protocol, for record number k, which lies in slot k mod N (ringbuf/ABI.md has all of it):
 *
 *     writer                                    reader
 *     1. slot.number = k-1   (mark)             1. slot.number == k ?   acquire; less: not yet, more: lapped
 *     2. release fence                          2. copy the payload
 *     3. payload                                3. acquire fence
 *     4. slot.number = k     (release)          4. slot.number == k ?   else the copy is void
 *
 * A reader writes nothing to a ring: the mapping is read-only, no reader can slow the producer or another reader, and one that is
 * too slow loses records and is told how many. Nothing here allocates, starts a thread, or keeps state outside the
 * handle. A handle belongs to one thread. Functions ending in _ are not for callers.
 *
 * Include it before other headers, or compile with -D_GNU_SOURCE, when the language mode is strict (-std=c99).
 *
 * Licence: Apache-2.0.
 */
#ifndef TICKRING_H
#define TICKRING_H

#if !defined(_GNU_SOURCE) && !defined(_DEFAULT_SOURCE) && !defined(_POSIX_C_SOURCE)
#define _POSIX_C_SOURCE 200809L
#endif

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#ifndef CLOCK_MONOTONIC
#error "include tickring.h before other headers, or compile with -D_GNU_SOURCE"
#endif
#ifndef MAP_POPULATE
#define MAP_POPULATE 0x8000
#endif
#if !defined(__cplusplus) && !defined(__USE_MISC)
extern long syscall(long number, ...); /* hidden by strict language modes */
#endif
#ifdef __cplusplus
extern "C" {
#endif

/* ---- records: DBN version 3 (tw_gap and tw_ext are tickwire's). Prices are int64 in 1e-9, times ns since 1970. ---- */

#define TW_UNDEF_PRICE INT64_MAX
#define TW_UNDEF_TIME UINT64_MAX
#define TW_UNDEF_SIZE UINT32_MAX

#define TW_F_LAST 0x80           /* last record of the venue event for this instrument */
#define TW_F_TOB 0x40            /* top-of-book message, not an order */
#define TW_F_SNAPSHOT 0x20       /* from a snapshot or a replay */
#define TW_F_MBP 0x10            /* an aggregated level, not an order */
#define TW_F_BAD_TS_RECV 0x08    /* ts_recv was made up or moved forward */
#define TW_F_MAYBE_BAD_BOOK 0x04 /* a loss on the channel was not recovered */
#define TW_F_PUBLISHER 0x02      /* a plugin's verdict: see the ext ring */

#define TW_RTYPE_TRADE 0x00
#define TW_RTYPE_MBP1 0x01
#define TW_RTYPE_MBP10 0x0A
#define TW_RTYPE_STATUS 0x12
#define TW_RTYPE_IMBALANCE 0x14
#define TW_RTYPE_STATISTICS 0x18
#define TW_RTYPE_MBO 0xA0
#define TW_RTYPE_GAP 0xE0
#define TW_RTYPE_EXT 0xE1

typedef struct tw_hdr {
	uint8_t length; /* 32-bit words of the record */
	uint8_t rtype;  /* TW_RTYPE_ */
	uint16_t publisher_id;
	uint32_t instrument_id;
	uint64_t ts_event;
} tw_hdr;

/* mbo ring: one order event. action A add, C cancel, M modify, R clear, T trade, F fill, N none; side B, A, N. */
typedef struct tw_mbo {
	tw_hdr hdr;
	uint64_t order_id;
	int64_t price;
	uint32_t size;
	uint8_t flags;
	uint8_t channel_id;
	char action;
	char side;
	uint64_t ts_recv;
	int32_t ts_in_delta;
	uint32_t sequence;
} tw_mbo;

typedef struct tw_trade {
	tw_hdr hdr;
	int64_t price;
	uint32_t size;
	char action;
	char side;
	uint8_t flags;
	uint8_t depth;
	uint64_t ts_recv;
	int32_t ts_in_delta;
	uint32_t sequence;
} tw_trade;

typedef struct tw_level {
	int64_t bid_px;
	int64_t ask_px;
	uint32_t bid_sz;
	uint32_t ask_sz;
	uint32_t bid_ct;
	uint32_t ask_ct;
} tw_level;

/* mbp1 ring: a trade (with the book before it) or a change of the best prices (with the book after it). */
typedef struct tw_mbp1_slot {
	tw_trade rec;
	tw_level level;
	uint64_t ts_publish;
	uint64_t plugin[4]; /* int64 or double, as the plugin declared them */
} tw_mbp1_slot;

/* trades ring. */
typedef struct tw_trade_slot {
	tw_trade rec;
	uint64_t match_id; /* 0: none */
} tw_trade_slot;

/* mbp10 ring. */
typedef struct tw_mbp10_slot {
	tw_trade rec;
	tw_level levels[10];
	uint64_t ts_publish;
	uint8_t reserved[128];
} tw_mbp10_slot;

/* cbbo ring: the best prices across venues, with what each venue has. */
typedef struct tw_venue_quote {
	int64_t bid_px;
	int64_t ask_px;
	uint32_t bid_sz;
	uint32_t ask_sz;
	uint64_t ts_recv; /* of its last change */
	uint64_t slot;    /* of that change in the venue's mbp1 ring */
	uint16_t publisher_id;
	uint8_t state; /* TW_VENUE_... */
	uint8_t reserved[5];
} tw_venue_quote;

enum { TW_VENUE_NONE = 0, TW_VENUE_LIVE = 1, TW_VENUE_STALE = 2, TW_VENUE_SUSPECT = 3, TW_VENUE_HALTED = 4, TW_VENUE_SILENT = 5 };

typedef struct tw_cbbo_slot {
	tw_hdr hdr;
	int64_t price;
	uint32_t size;
	uint8_t action;
	uint8_t side;
	uint8_t flags;
	uint8_t reserved1;
	uint64_t ts_recv;
	int32_t ts_in_delta;
	uint8_t reserved2[4];
	int64_t bid_px;
	int64_t ask_px;
	uint32_t bid_sz;
	uint32_t ask_sz;
	uint16_t bid_pb; /* publisher with the best bid */
	uint8_t reserved3[2];
	uint16_t ask_pb;
	uint8_t reserved4[2];
	uint64_t ts_publish;
	uint8_t venues; /* quotes that are filled in */
	uint8_t live;
	uint8_t stale;
	uint8_t reserved5[5];
	tw_venue_quote quotes[8];
	uint8_t reserved6[24];
} tw_cbbo_slot;

/* events ring, and inline in the mbo ring: tell by hdr.rtype. */
typedef struct tw_status {
	tw_hdr hdr;
	uint64_t ts_recv;
	uint16_t action;
	uint16_t reason;
	uint16_t trading_event;
	char is_trading; /* Y, N or ~ */
	char is_quoting;
	char is_short_sell_restricted;
	uint8_t reserved[7];
} tw_status;

/* events ring, and inline in the mbo ring: sequence numbers of the venue that are missing. */
typedef struct tw_gap {
	tw_hdr hdr; /* instrument_id 0: all of the channel */
	uint64_t first;
	uint64_t last; /* inclusive */
	uint64_t ts_recv;
	uint8_t state; /* 1 recovering, 2 closed, 3 lost */
	uint8_t channel_id;
	uint8_t line; /* 255: both */
	uint8_t reserved[5];
	uint64_t messages;
} tw_gap;

/* events ring. */
typedef struct tw_imbalance {
	tw_hdr hdr;
	uint64_t ts_recv;
	int64_t ref_price;
	uint64_t auction_time;
	int64_t cont_book_clr_price;
	int64_t auct_interest_clr_price;
	int64_t ssr_filling_price;
	int64_t ind_match_price;
	int64_t upper_collar;
	int64_t lower_collar;
	uint32_t paired_qty;
	uint32_t total_imbalance_qty;
	uint32_t market_imbalance_qty;
	uint32_t unpaired_qty;
	char auction_type;
	char side;
	uint8_t auction_status;
	uint8_t freeze_status;
	uint8_t num_extensions;
	char unpaired_side;
	char significant_imbalance;
	uint8_t reserved;
} tw_imbalance;

/* events ring. */
typedef struct tw_statistics {
	tw_hdr hdr;
	uint64_t ts_recv;
	uint64_t ts_ref;
	int64_t price;
	int64_t quantity;
	uint32_t sequence;
	int32_t ts_in_delta;
	uint16_t stat_type;
	uint16_t channel_id;
	uint8_t update_action;
	uint8_t stat_flags;
	uint8_t reserved[18];
} tw_statistics;

/* One payload of the events ring. */
typedef union tw_event {
	tw_hdr hdr;
	tw_status status;
	tw_imbalance imbalance;
	tw_statistics statistics;
	tw_gap gap;
	uint64_t words[15];
} tw_event;

/* ext ring: what the venue sends and DBN has no field for. */
typedef struct tw_ext {
	tw_hdr hdr;
	uint64_t ref_seq; /* number of the slot it belongs to in ring ref_ring, 0: none */
	uint8_t kind;
	uint8_t ref_ring; /* 1 mbo, 2 mbp1, 3 trades, 4 events */
	uint8_t reserved[2];
	uint32_t seq32;
	uint64_t a, b, c;
} tw_ext;

/* A size that differs either way does not compile. */
#define TW_SIZE_(type, bytes) typedef char tw_size_of_##type[sizeof(type) == (bytes) ? 1 : -1]
TW_SIZE_(tw_hdr, 16);
TW_SIZE_(tw_mbo, 56);
TW_SIZE_(tw_trade, 48);
TW_SIZE_(tw_level, 32);
TW_SIZE_(tw_mbp1_slot, 120);
TW_SIZE_(tw_trade_slot, 56);
TW_SIZE_(tw_mbp10_slot, 504);
TW_SIZE_(tw_venue_quote, 48);
TW_SIZE_(tw_cbbo_slot, 504);
TW_SIZE_(tw_status, 40);
TW_SIZE_(tw_gap, 56);
TW_SIZE_(tw_imbalance, 112);
TW_SIZE_(tw_statistics, 80);
TW_SIZE_(tw_event, 120);
TW_SIZE_(tw_ext, 56);

/* ---- layout of a ring file, ABI 1: offsets in bytes ---- */

#define TW_ABI_MAJOR 1
#define TW_HEADER_BYTES 4096
#define TW_OFF_MAGIC 0          /* "TWRING01" */
#define TW_OFF_MAJOR 8          /* u16 */
#define TW_OFF_MINOR 10         /* u16 */
#define TW_OFF_HEADER_BYTES 12  /* u32 */
#define TW_OFF_BYTE_ORDER 16    /* u32, 0x01020304 */
#define TW_OFF_SLOT_BYTES 20    /* u32 */
#define TW_OFF_SLOTS 24         /* u64, a power of two */
#define TW_OFF_SLOTS_OFFSET 32  /* u64 */
#define TW_OFF_FILE_BYTES 40    /* u64 */
#define TW_OFF_SCHEMA 48        /* u16 */
#define TW_OFF_DBN_VERSION 50   /* u8 */
#define TW_OFF_KIND 51          /* u8, TW_KIND_ */
#define TW_OFF_PUBLISHER 52     /* u16 */
#define TW_OFF_CHANNEL 54       /* u16 */
#define TW_OFF_CREATED 56       /* u64 */
#define TW_OFF_UUID 64          /* u8[16] */
#define TW_OFF_NAME 80          /* char[48] */
#define TW_OFF_DATASET 128      /* char[16] */
#define TW_OFF_RING_FLAGS 144   /* u32, 1: gated */
#define TW_OFF_EPOCH_INTENT 256 /* u64 */
#define TW_OFF_EPOCH 264        /* u64 */
#define TW_OFF_FIRST 272        /* u64 */
#define TW_OFF_START_MONO 280   /* u64 */
#define TW_OFF_REAL_OFFSET 288  /* u64 */
#define TW_OFF_PID 296          /* u32 */
#define TW_OFF_STATE 300        /* u32, TW_STATE_ */
#define TW_OFF_BOOT_ID 304      /* u8[16] */
#define TW_OFF_UNUSED 320       /* u64 */
#define TW_OFF_CURSOR 384       /* u64 */
#define TW_OFF_CURSOR_TS 392    /* u64 */
#define TW_OFF_HEARTBEAT 512    /* u64 */
#define TW_OFF_DOORBELL 520     /* u32 */
#define TW_OFF_STAMPS 524       /* u32 */

enum { TW_KIND_MBO = 1, TW_KIND_MBP1 = 2, TW_KIND_TRADES = 3, TW_KIND_EVENTS = 4, TW_KIND_EXT = 5, TW_KIND_MBP10 = 6, TW_KIND_CBBO = 7 };

enum {
	TW_STATE_INITIALISING = 0,
	TW_STATE_RUNNING = 1,
	TW_STATE_FEED_DOWN = 2, /* producer alive, its input is silent */
	TW_STATE_STOPPED = 3,
	TW_STATE_FAILED = 4,
	TW_STATE_REPLACED = 5,
	TW_STATE_RECOVERING = 6 /* producer alive, missing numbers were asked for: what comes next waits for them */
};

/* What a poll says when it gives no record. */
enum {
	TW_NONE = 0,      /* nothing new yet */
	TW_OVERRUN = -1,  /* lapped: lost has grown by what was missed, reading goes on half a ring behind the newest */
	TW_EPOCH = -2,    /* producer was started again: lost has grown by what was missed, reading goes on at its first */
	TW_REPLACED = -3, /* another file has the name, this one is read to its end: close and open again */
	TW_SILENT = -4,   /* no record and no heartbeat within stale_ns */
	TW_STOPPED = -5   /* producer ended, all records are read; it may come back */
};

/* Why open, join, seek or a lookup refuses. tw_strerror gives a sentence. */
enum {
	TW_E_OPEN = -101,       /* see errno */
	TW_E_SHORT = -102,
	TW_E_MAP = -103,        /* see errno */
	TW_E_MAGIC = -104,
	TW_E_BYTE_ORDER = -105,
	TW_E_VERSION = -106,
	TW_E_HEADER_SIZE = -107,
	TW_E_SLOT_SIZE = -108,
	TW_E_CAPACITY = -109,
	TW_E_OFFSET = -110,
	TW_E_FILE_SIZE = -111,
	TW_E_DBN_VERSION = -112,
	TW_E_RESTARTING = -113, /* producer is restarting, or died while it was: try again */
	TW_E_TOO_OLD = -114,
	TW_E_TOO_FAR = -115,
	TW_E_NOT_FOUND = -116, /* no such instrument, or nothing said of it yet */
	TW_E_BUSY = -117,      /* the writer is at it, or died while it was: try again */
	TW_E_NO_ROOM = -118,   /* the caller's memory is too small: the count says how much it takes */
	TW_E_EPOCH = -119,     /* snapshot and ring are of different epochs: try again */
	TW_E_NOT_MBO = -120    /* books are joined in an mbo ring */
};

/* Where to begin. */
enum { TW_JOIN_LIVE = 0, TW_JOIN_HALF = 1, TW_JOIN_OLDEST = 2 };

/* A ring that is being read. next, lost, epoch, kind and slot_bytes may be read, stale_ns may be set; the rest is private. */
typedef struct tw_ring {
	uint64_t next;     /* number of the record that comes next */
	uint64_t lost;     /* records missed since open, exactly */
	uint64_t epoch;    /* producer's start that the next record belongs to, as far as is known */
	uint64_t stale_ns; /* a heartbeat older than this is TW_SILENT; open sets 50 ms */
	uint32_t slot_bytes;
	uint32_t kind; /* TW_KIND_ */
	const unsigned char *base_;
	const unsigned char *slots_;
	uint64_t mask_;
	uint64_t bytes_;
	uint64_t unused_;
	uint32_t idle_;
	int same_boot_;
	int fd_;
} tw_ring;

/* ---- words that another process may change ---- */

static inline uint64_t tw_load64_(const unsigned char *p)
{
	return __atomic_load_n((const uint64_t *)(const void *)p, __ATOMIC_RELAXED);
}

static inline uint64_t tw_acquire64_(const unsigned char *p)
{
	return __atomic_load_n((const uint64_t *)(const void *)p, __ATOMIC_ACQUIRE);
}

static inline uint32_t tw_acquire32_(const unsigned char *p)
{
	return __atomic_load_n((const uint32_t *)(const void *)p, __ATOMIC_ACQUIRE);
}

/* Copies words by one relaxed load each: a plain memcpy from shared memory would be a data race. */
static inline void tw_copy_(unsigned char *dst, const unsigned char *shared, uint32_t bytes)
{
	uint32_t i;
	for (i = 0; i < bytes; i += 8) {
		uint64_t w = tw_load64_(shared + i);
		memcpy(dst + i, &w, 8);
	}
}

static inline uint64_t tw_monotonic_ns_(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* ---- opening ---- */

/* The kernel's boot id; zeros where /proc does not say. */
static inline void tw_boot_id_(unsigned char id[16])
{
	char text[64];
	ssize_t n = 0, i;
	int digits = 0;
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	memset(id, 0, 16);
	if (fd >= 0) {
		n = read(fd, text, sizeof text);
		close(fd);
	}
	for (i = 0; i < n && digits < 32; i++) {
		int c = text[i], d = -1;
		if (c >= '0' && c <= '9')
			d = c - '0';
		if (c >= 'a' && c <= 'f')
			d = c - 'a' + 10;
		if (d >= 0) {
			id[digits / 2] = (unsigned char)(id[digits / 2] << 4 | d);
			digits++;
		}
	}
}

static inline uint32_t tw_slot_bytes_of_(uint32_t kind)
{
	switch (kind) {
	case TW_KIND_MBO:
	case TW_KIND_TRADES:
	case TW_KIND_EXT:
		return 64;
	case TW_KIND_MBP1:
	case TW_KIND_EVENTS:
		return 128;
	case TW_KIND_MBP10:
	case TW_KIND_CBBO:
		return 512;
	default:
		return 0;
	}
}

/* The conditions that make a file a ring. */
static inline int tw_check_header_(const unsigned char *h, uint64_t file_bytes)
{
	uint16_t major;
	uint32_t header_bytes, order, slot_bytes;
	uint64_t slots, offset, declared;
	memcpy(&major, h + TW_OFF_MAJOR, 2);
	memcpy(&header_bytes, h + TW_OFF_HEADER_BYTES, 4);
	memcpy(&order, h + TW_OFF_BYTE_ORDER, 4);
	memcpy(&slot_bytes, h + TW_OFF_SLOT_BYTES, 4);
	memcpy(&slots, h + TW_OFF_SLOTS, 8);
	memcpy(&offset, h + TW_OFF_SLOTS_OFFSET, 8);
	memcpy(&declared, h + TW_OFF_FILE_BYTES, 8);
	if (memcmp(h + TW_OFF_MAGIC, "TWRING01", 8) != 0)
		return TW_E_MAGIC;
	if (order != 0x01020304u)
		return TW_E_BYTE_ORDER;
	if (major != TW_ABI_MAJOR)
		return TW_E_VERSION;
	if (header_bytes < TW_HEADER_BYTES || header_bytes > file_bytes)
		return TW_E_HEADER_SIZE;
	if (slot_bytes == 0 || slot_bytes != tw_slot_bytes_of_(h[TW_OFF_KIND]))
		return TW_E_SLOT_SIZE;
	if (slots < 4 || slots > (uint64_t)1 << 40 || (slots & (slots - 1)) != 0)
		return TW_E_CAPACITY;
	if (offset < TW_HEADER_BYTES || offset > 2097152 || offset % TW_HEADER_BYTES != 0)
		return TW_E_OFFSET;
	if (declared < offset + slots * slot_bytes || file_bytes < declared)
		return TW_E_FILE_SIZE;
	if (h[TW_OFF_DBN_VERSION] != 3)
		return TW_E_DBN_VERSION;
	return 0;
}

/* Reads epoch, first number and unused count as they belong together; 0 while a producer is changing them. */
static inline int tw_session_(tw_ring *r, uint64_t *epoch, uint64_t *first, uint64_t *unused)
{
	unsigned char boot[16], here[16];
	*epoch = tw_acquire64_(r->base_ + TW_OFF_EPOCH);
	*first = tw_load64_(r->base_ + TW_OFF_FIRST);
	*unused = tw_load64_(r->base_ + TW_OFF_UNUSED);
	tw_copy_(boot, r->base_ + TW_OFF_BOOT_ID, 16);
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	if (*epoch == 0 || tw_load64_(r->base_ + TW_OFF_EPOCH_INTENT) != *epoch)
		return 0;
	tw_boot_id_(here);
	r->same_boot_ = memcmp(boot, here, 16) == 0;
	return 1;
}

/* The same with some patience: a tenth of a second. */
static inline int tw_await_session_(tw_ring *r, uint64_t *epoch, uint64_t *first, uint64_t *unused)
{
	int i;
	for (i = 0; i < 100; i++) {
		struct timespec ms;
		if (tw_session_(r, epoch, first, unused))
			return 0;
		ms.tv_sec = 0;
		ms.tv_nsec = 1000000;
		nanosleep(&ms, NULL);
	}
	return TW_E_RESTARTING;
}

static inline const unsigned char *tw_slot_(const tw_ring *r, uint64_t n)
{
	return r->slots_ + (n & r->mask_) * r->slot_bytes;
}

/* The number of the next record to come, or one a little older or (never more than a run) newer. */
static inline uint64_t tw_tail_(const tw_ring *r, uint64_t first)
{
	uint64_t n = tw_acquire64_(r->base_ + TW_OFF_CURSOR) + 1;
	uint64_t steps;
	if ((int64_t)(n - first) < 0)
		n = first;
	for (steps = 0; steps <= r->mask_; steps++) {
		uint64_t found = tw_acquire64_(tw_slot_(r, n));
		if (found == n)
			n++;
		else if ((int64_t)(found - n) > 0)
			n = found; /* a lap was written since the cursor was */
		else
			break;
	}
	return n;
}

/* Begins anew: TW_JOIN_LIVE with the next record, TW_JOIN_HALF half a ring back, TW_JOIN_OLDEST as far back as is safe,
 * both within the running epoch. What is skipped by it is no loss. 0, or TW_E_RESTARTING. */
static inline int tw_ring_join(tw_ring *r, int mode)
{
	uint64_t epoch, first, unused, have, slots = r->mask_ + 1;
	int err = tw_await_session_(r, &epoch, &first, &unused);
	if (err != 0)
		return err;
	r->epoch = epoch;
	r->unused_ = unused;
	r->next = tw_tail_(r, first);
	have = r->next - first;
	if (mode == TW_JOIN_HALF)
		r->next -= have < slots / 2 ? have : slots / 2;
	else if (mode == TW_JOIN_OLDEST)
		r->next -= have <= slots ? have : slots - slots / 8;
	return 0;
}

/* Makes seq the next record: one of this epoch that is still there (else TW_E_TOO_OLD) or the next to come (else
 * TW_E_TOO_FAR). On an error the place is unchanged. A snapshot that holds at record S is followed by seek to S+1. */
static inline int tw_ring_seek(tw_ring *r, uint64_t seq)
{
	uint64_t epoch, first, unused, tail;
	int err = tw_await_session_(r, &epoch, &first, &unused);
	if (err != 0)
		return err;
	tail = tw_tail_(r, first);
	if ((int64_t)(seq - first) < 0 || (int64_t)(tail - seq) > (int64_t)(r->mask_ + 1))
		return TW_E_TOO_OLD;
	if ((int64_t)(seq - tail) > 0)
		return TW_E_TOO_FAR;
	r->epoch = epoch;
	r->unused_ = unused;
	r->next = seq;
	return 0;
}

/* Unmaps. The handle may be opened again. */
static inline void tw_ring_close(tw_ring *r)
{
	if (r->base_ != NULL)
		munmap((void *)(uintptr_t)r->base_, (size_t)r->bytes_);
	if (r->fd_ >= 0)
		close(r->fd_);
	r->base_ = r->slots_ = NULL;
	r->fd_ = -1;
}

/* Opens a ring read-only and joins it live. 0, or TW_E_…; on an error there is nothing to close. */
static inline int tw_ring_open(tw_ring *r, const char *path)
{
	struct stat st;
	void *mem;
	uint64_t offset;
	int err;
	memset(r, 0, sizeof *r);
	r->fd_ = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe of that name must not block us */
	if (r->fd_ < 0)
		return TW_E_OPEN;
	if (fstat(r->fd_, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size < TW_HEADER_BYTES) {
		tw_ring_close(r);
		return TW_E_SHORT;
	}
	mem = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED | MAP_POPULATE, r->fd_, 0);
	if (mem == MAP_FAILED) {
		tw_ring_close(r);
		return TW_E_MAP;
	}
	r->base_ = (const unsigned char *)mem;
	r->bytes_ = (uint64_t)st.st_size;
	err = tw_check_header_(r->base_, r->bytes_);
	if (err == 0) {
		memcpy(&r->slot_bytes, r->base_ + TW_OFF_SLOT_BYTES, 4);
		memcpy(&r->mask_, r->base_ + TW_OFF_SLOTS, 8);
		memcpy(&offset, r->base_ + TW_OFF_SLOTS_OFFSET, 8);
		r->mask_ -= 1;
		r->slots_ = r->base_ + offset;
		r->kind = r->base_[TW_OFF_KIND];
		r->stale_ns = 50000000;
		err = tw_ring_join(r, TW_JOIN_LIVE);
	}
	if (err != 0)
		tw_ring_close(r);
	return err;
}

/* ---- reading ---- */

/* Another file has the name, or none. */
static inline int tw_unlinked_(const tw_ring *r)
{
	struct stat st;
	return fstat(r->fd_, &st) == 0 && st.st_nlink == 0;
}

/* Goes to the first record of the session that runs now, over any number of epochs. */
static inline int tw_new_epoch_(tw_ring *r)
{
	uint64_t epoch, first, unused, missed;
	if (!tw_session_(r, &epoch, &first, &unused))
		return TW_NONE;
	missed = first - r->next - (unused - r->unused_);
	if ((int64_t)missed > 0) /* a reader that joined in the middle of a run which was then cut short was ahead */
		r->lost += missed;
	r->next = first;
	r->epoch = epoch;
	r->unused_ = unused;
	return TW_EPOCH;
}

/* A number beyond the awaited one was found: a lap, or a new epoch. */
static inline int tw_repair_(tw_ring *r, uint64_t found)
{
	uint64_t tail, to;
	/* The number was read before the epoch: with the epoch unchanged it was written in ours. */
	if (tw_acquire64_(r->base_ + TW_OFF_EPOCH) != r->epoch)
		return tw_new_epoch_(r);
	tail = tw_load64_(r->base_ + TW_OFF_CURSOR);
	if ((int64_t)(found - tail) > 0)
		tail = found;
	to = tail - (r->mask_ + 1) / 2;
	if ((int64_t)(to - r->next) <= 0)
		to = r->next + 1;
	r->lost += to - r->next;
	r->next = to;
	return TW_OVERRUN;
}

/* Looks at the header, now and then while no record comes. What it says counts only if there is still no record
 * afterwards: the last ones of a producer come before its news. */
static inline int tw_check_(tw_ring *r)
{
	uint64_t epoch = tw_acquire64_(r->base_ + TW_OFF_EPOCH);
	uint32_t state = tw_acquire32_(r->base_ + TW_OFF_STATE);
	uint64_t beat = tw_acquire64_(r->base_ + TW_OFF_HEARTBEAT);
	if ((int64_t)(tw_acquire64_(tw_slot_(r, r->next)) - r->next) >= 0)
		return TW_NONE;
	if (epoch != r->epoch)
		return tw_new_epoch_(r);
	if (state == TW_STATE_REPLACED)
		return TW_REPLACED;
	if (state == TW_STATE_STOPPED || state == TW_STATE_FAILED)
		return tw_unlinked_(r) ? TW_REPLACED : TW_STOPPED;
	if (!r->same_boot_ || (int64_t)(tw_monotonic_ns_() - beat) > (int64_t)r->stale_ns)
		return tw_unlinked_(r) ? TW_REPLACED : TW_SILENT;
	return TW_NONE;
}

/* Finds out why there was no record. Kept out of the loop that polls. */
static int __attribute__((noinline, unused)) tw_empty_(tw_ring *r)
{
	uint64_t found = tw_acquire64_(tw_slot_(r, r->next));
	if ((int64_t)(found - r->next) > 0) {
		int status = tw_repair_(r, found);
		if (status != TW_NONE) {
			r->idle_ = 0;
			return status;
		}
	}
	if (++r->idle_ % 1024 != 0)
		return TW_NONE;
	return tw_check_(r);
}

/* Copies record n to dst: 1 when it is whole. */
static inline int tw_take_(const tw_ring *r, uint64_t n, unsigned char *dst)
{
	const unsigned char *slot = tw_slot_(r, n);
	if (tw_acquire64_(slot) != n)
		return 0;
	if (r->slot_bytes == 64) /* the constant unrolls the copy */
		tw_copy_(dst, slot + 8, 56);
	else
		tw_copy_(dst, slot + 8, r->slot_bytes - 8);
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return tw_load64_(slot) == n;
}

/* Copies up to max records, slot_bytes-8 bytes each, to recs; *first (may be NULL) is the number of the first. Returns how
 * many, or with none TW_NONE … TW_STOPPED. Whole records before an overrun come first. Bytes behind them are undefined.
 * Hot path: no call into the kernel but once in 1,024 empty polls. */
static inline int tw_ring_poll_batch(tw_ring *r, void *recs, int max, uint64_t *first)
{
	unsigned char *dst = (unsigned char *)recs;
	int n = 0;
	if (first != NULL)
		*first = r->next;
	while (n < max && tw_take_(r, r->next, dst)) {
		r->next++;
		n++;
		dst += r->slot_bytes - 8;
		__builtin_prefetch(tw_slot_(r, r->next + 1));
	}
	if (n > 0) {
		r->idle_ = 0;
		return n;
	}
	return tw_empty_(r);
}

/* Copies the next record: 1, or TW_NONE … TW_STOPPED. Its number is next-1 afterwards. */
static inline int tw_ring_poll(tw_ring *r, void *rec)
{
	if (tw_take_(r, r->next, (unsigned char *)rec)) {
		r->next++;
		r->idle_ = 0;
		return 1;
	}
	return tw_empty_(r);
}

/* ---- beside the loop ---- */

/* TW_STATE_… of the producer. */
static inline uint32_t tw_ring_state(const tw_ring *r)
{
	return tw_acquire32_(r->base_ + TW_OFF_STATE);
}

/* Who gave the latest records their ts_recv: 0 not known, 1 the lane's clock, 2 whoever recorded them, 3 the kernel, 4 the NIC. */
static inline uint32_t tw_ring_stamps(const tw_ring *r)
{
	return tw_acquire32_(r->base_ + TW_OFF_STAMPS);
}

/* Records known to lie ahead. Past three quarters of tw_ring_slots an overrun is near. */
static inline uint64_t tw_ring_lag(const tw_ring *r)
{
	int64_t ahead = (int64_t)(tw_acquire64_(r->base_ + TW_OFF_CURSOR) + 1 - r->next);
	return ahead > 0 ? (uint64_t)ahead : 0;
}

/* Capacity. */
static inline uint64_t tw_ring_slots(const tw_ring *r)
{
	return r->mask_ + 1;
}

/* <feed>.<lane>.<kind>; valid until close. */
static inline const char *tw_ring_name(const tw_ring *r)
{
	return (const char *)(r->base_ + TW_OFF_NAME);
}

/* 16 bytes, new for each file: (uuid, epoch, number) names a record for ever. Valid until close. */
static inline const unsigned char *tw_ring_uuid(const tw_ring *r)
{
	return r->base_ + TW_OFF_UUID;
}

/* 1 when the producer runs and its last heartbeat is younger than stale_ns. Reads the clock. */
static inline int tw_ring_alive(const tw_ring *r)
{
	uint32_t state = tw_ring_state(r);
	uint64_t beat = tw_acquire64_(r->base_ + TW_OFF_HEARTBEAT);
	return (state == TW_STATE_RUNNING || state == TW_STATE_FEED_DOWN || state == TW_STATE_RECOVERING) && r->same_boot_ &&
	       (int64_t)(tw_monotonic_ns_() - beat) <= (int64_t)r->stale_ns;
}

/* Sleeps until the producer's doorbell, for timeout_us at most; returns 1 when a poll would find something. It does not
 * sleep when there is something already. Not for the hot path: waking takes microseconds. The next poll without a record
 * looks at heartbeat and state. */
static inline int tw_ring_wait(tw_ring *r, uint32_t timeout_us)
{
	const unsigned char *bell = r->base_ + TW_OFF_DOORBELL;
	uint32_t seen = tw_acquire32_(bell); /* before the slot: a ring in between ends the sleep at once */
	r->idle_ = 1023;
	if ((int64_t)(tw_acquire64_(tw_slot_(r, r->next)) - r->next) >= 0)
		return 1;
	if (timeout_us > 0) {
		struct timespec ts;
		ts.tv_sec = (time_t)(timeout_us / 1000000);
		ts.tv_nsec = (long)(timeout_us % 1000000) * 1000;
		syscall(SYS_futex, bell, 0 /* FUTEX_WAIT, shared */, seen, &ts, NULL, 0);
	}
	return (int64_t)(tw_acquire64_(tw_slot_(r, r->next)) - r->next) >= 0;
}

/* A sentence for any negative result. */
static inline const char *tw_strerror(int code)
{
	switch (code) {
	case TW_OVERRUN:
		return "lapped by the producer";
	case TW_EPOCH:
		return "producer was started again";
	case TW_REPLACED:
		return "another file has the name: close and open again";
	case TW_SILENT:
		return "producer has no heartbeat";
	case TW_STOPPED:
		return "producer ended";
	case TW_E_OPEN:
		return "cannot be opened (see errno)";
	case TW_E_SHORT:
		return "shorter than its header, or no regular file";
	case TW_E_MAP:
		return "cannot be mapped (see errno)";
	case TW_E_MAGIC:
		return "not a tickwire ring, or none of the kind that was asked for";
	case TW_E_BYTE_ORDER:
		return "written by a host of the other byte order";
	case TW_E_VERSION:
		return "another major version of the ABI";
	case TW_E_HEADER_SIZE:
		return "header size out of range";
	case TW_E_SLOT_SIZE:
		return "slot size is not that of the ring's kind";
	case TW_E_CAPACITY:
		return "capacity is not a power of two in range";
	case TW_E_OFFSET:
		return "slots begin at an impossible offset";
	case TW_E_FILE_SIZE:
		return "file size does not match the header";
	case TW_E_DBN_VERSION:
		return "records of another DBN version";
	case TW_E_RESTARTING:
		return "producer is restarting, or died while it was: try again";
	case TW_E_TOO_OLD:
		return "record is no longer in the ring";
	case TW_E_TOO_FAR:
		return "record is not yet in the ring";
	case TW_E_NOT_FOUND:
		return "no such instrument, or nothing said of it yet";
	case TW_E_BUSY:
		return "the writer is at it, or died while it was: try again";
	case TW_E_NO_ROOM:
		return "the caller's memory is too small";
	case TW_E_EPOCH:
		return "snapshot and ring are of different epochs: try again";
	case TW_E_NOT_MBO:
		return "books are joined in an mbo ring, and this is another";
	default:
		return "unknown";
	}
}

/* ---- files beside the rings ----
 *
 *     .inst   what each instrument is                   tw_inst_open, tw_inst_lookup, tw_inst_at, tw_inst_find
 *     .last   latest mbp1 record of each instrument     tw_last_open, tw_last
 *     .snap   all resting orders, and the mbo record    tw_snap_open, tw_snap_read, tw_book_join
 *             they hold at
 *     .stats  counters of a process                     tw_stats_open, tw_stats_each
 *
 *     tw_side inst, last;
 *     tw_mbp1_slot quote;
 *     if (tw_inst_open(&inst, "….inst") != 0 || tw_last_open(&last, "….last") != 0) …
 *     switch (tw_last(&last, &inst, publisher, instrument, &quote)) {
 *     case 0: use(&quote); break;
 *     case TW_REPLACED: …close both and open them again; the producer made new files
 *     }
 *     tw_side_close(&last), tw_side_close(&inst);
 *
 * All begin with the same header page (ABI.md 2a). Entries are guarded by a version each: even is stable, odd is being
 * changed, 0 is empty. Functions copy out and check, with bounded tries: a writer that died in the middle gives TW_E_BUSY,
 * never half an entry. A file that another one has taken the place of gives TW_REPLACED, never an old value as if it were
 * new. A producer that died without a successor leaves its last values: ask tw_side_silence. What a failed call leaves in
 * the caller's memory is undefined. A handle is only read after it was opened: threads may share it.
 */

#define TW_SIDE_HEADER 4096
#define TW_SIDE_OFF_MAGIC 0         /* "TWINST01", "TWLAST01", "TWSNAP01", "TWSTAT01" */
#define TW_SIDE_OFF_ABI 8           /* u16 */
#define TW_SIDE_OFF_HEADER_BYTES 12 /* u32 */
#define TW_SIDE_OFF_BYTE_ORDER 16   /* u32 */
#define TW_SIDE_OFF_ENTRY_BYTES 20  /* u32 */
#define TW_SIDE_OFF_CAPACITY 24     /* u64 */
#define TW_SIDE_OFF_OFFSET 32       /* u64 */
#define TW_SIDE_OFF_FILE_BYTES 40   /* u64 */
#define TW_SIDE_OFF_PID 48          /* u32 */
#define TW_SIDE_OFF_CREATED 56      /* u64 */
#define TW_SIDE_OFF_UUID 64         /* u8[16] */
#define TW_SIDE_OFF_NAME 80         /* char[48] */
#define TW_SIDE_OFF_GENERATION 256  /* u64: moves when the contents begin anew */
#define TW_SIDE_OFF_STATE 264       /* u32: 1 running, 3 stopped, 5 replaced */
#define TW_SIDE_OFF_COUNT 384       /* u64: entries in use */
#define TW_SIDE_OFF_ACTIVE 392      /* u64: .snap, the buffer completed last */
#define TW_SIDE_OFF_HEARTBEAT 512   /* u64 */
#define TW_SNAP_CONTROL 1024        /* .snap: two control lines … */
#define TW_SNAP_LINE 128            /* … of this many bytes */
#define TW_INST_ENTRY 256
#define TW_LAST_ENTRY 128
#define TW_SNAP_ENTRY 56
#define TW_STATS_ENTRY 128
#define TW_STATS_OFF_KIND 8  /* u8 */
#define TW_STATS_OFF_NAME 16 /* char[112] */

/* Flags of an instrument. */
#define TW_INST_NAMED 1 /* its definition came; without one the entry was made at first sight */
#define TW_INST_TEST 2  /* test security: its prices are not real */

/* Kinds of a counter. */
enum { TW_STAT_COUNTER = 1 /* only grows */, TW_STAT_GAUGE = 2 };

/* A file beside a ring, mapped read-only. All of it is private. */
typedef struct tw_side {
	const unsigned char *base_;
	uint64_t bytes_;
	uint64_t capacity_;
	uint64_t entry_bytes_;
} tw_side;

/* An instrument, 248 bytes, as in .inst behind the version. Texts are padded with NUL. */
typedef struct tw_inst {
	uint32_t instrument_id;
	uint16_t publisher_id;
	char instrument_class;
	uint8_t flags;       /* TW_INST_ */
	char raw_symbol[72]; /* always ends with NUL */
	int64_t min_price_increment;
	int32_t round_lot;
	int32_t contract_multiplier;
	int64_t unit_of_measure_qty;
	int64_t display_factor;
	char currency[4];
	int8_t decimals;
	uint8_t status_action;
	uint16_t channel;
	char mic[8];
	char group[12];
	char security_type[4];
	int64_t strike;
	uint64_t activation;
	uint64_t expiration;
	uint64_t definition_offset; /* of the full record in .definitions.dbn, 0: none */
	uint64_t updated;
	uint8_t reserved_[64];
} tw_inst;
TW_SIZE_(tw_inst, 248);

/* Unmaps. The handle may be opened again. */
static inline void tw_side_close(tw_side *s)
{
	if (s->base_ != NULL)
		munmap((void *)(uintptr_t)s->base_, (size_t)s->bytes_);
	s->base_ = NULL;
}

/* The conditions that make a file one of these; capacity from it. */
static inline int tw_side_check_(const unsigned char *h, uint64_t file_bytes, const char *magic, uint32_t entry_bytes, uint64_t *capacity)
{
	uint16_t abi;
	uint32_t header, order, entry;
	uint64_t offset, declared;
	memcpy(&abi, h + TW_SIDE_OFF_ABI, 2);
	memcpy(&header, h + TW_SIDE_OFF_HEADER_BYTES, 4);
	memcpy(&order, h + TW_SIDE_OFF_BYTE_ORDER, 4);
	memcpy(&entry, h + TW_SIDE_OFF_ENTRY_BYTES, 4);
	memcpy(capacity, h + TW_SIDE_OFF_CAPACITY, 8);
	memcpy(&offset, h + TW_SIDE_OFF_OFFSET, 8);
	memcpy(&declared, h + TW_SIDE_OFF_FILE_BYTES, 8);
	if (memcmp(h + TW_SIDE_OFF_MAGIC, magic, 8) != 0)
		return TW_E_MAGIC;
	if (order != 0x01020304u)
		return TW_E_BYTE_ORDER;
	if (abi != TW_ABI_MAJOR)
		return TW_E_VERSION;
	if (header != TW_SIDE_HEADER)
		return TW_E_HEADER_SIZE;
	if (entry != entry_bytes)
		return TW_E_SLOT_SIZE;
	if (offset != TW_SIDE_HEADER)
		return TW_E_OFFSET;
	if (declared > file_bytes || *capacity > (file_bytes - TW_SIDE_HEADER) / entry_bytes)
		return TW_E_FILE_SIZE;
	return 0;
}

static inline int tw_side_open_(tw_side *s, const char *path, const char *magic, uint32_t entry_bytes)
{
	struct stat st;
	void *mem;
	int err, fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe of that name must not block us */
	memset(s, 0, sizeof *s);
	if (fd < 0)
		return TW_E_OPEN;
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size < TW_SIDE_HEADER) {
		close(fd);
		return TW_E_SHORT;
	}
	mem = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
	if (mem == MAP_FAILED)
		return TW_E_MAP;
	s->base_ = (const unsigned char *)mem;
	s->bytes_ = (uint64_t)st.st_size;
	s->entry_bytes_ = entry_bytes;
	err = tw_side_check_(s->base_, s->bytes_, magic, entry_bytes, &s->capacity_);
	if (err != 0)
		tw_side_close(s);
	return err;
}

/* TW_STATE_RUNNING, TW_STATE_STOPPED or TW_STATE_REPLACED. A writer that was killed still counts as running: see
 * tw_side_silence. */
static inline uint32_t tw_side_state(const tw_side *s)
{
	return tw_acquire32_(s->base_ + TW_SIDE_OFF_STATE);
}

/* 1 when another file has the name: close and open again. */
static inline int tw_side_replaced(const tw_side *s)
{
	return tw_side_state(s) == TW_STATE_REPLACED;
}

/* How long ago the writer showed signs of life, ns: of .snap, when it completed its newest snapshot. Reads the clock. */
static inline uint64_t tw_side_silence(const tw_side *s)
{
	uint64_t beat = tw_acquire64_(s->base_ + TW_SIDE_OFF_HEARTBEAT); /* before the clock: it is never ahead of it */
	uint64_t now = tw_monotonic_ns_();
	return (int64_t)(now - beat) > 0 ? now - beat : 0;
}

/* Moves when the contents begin anew: an index into .inst, or what was remembered of an instrument, is void then. */
static inline uint64_t tw_side_generation(const tw_side *s)
{
	return tw_acquire64_(s->base_ + TW_SIDE_OFF_GENERATION);
}

/* Places of the file: indexes of .inst and .last are below it. */
static inline uint64_t tw_side_capacity(const tw_side *s)
{
	return s->capacity_;
}

/* Copies what lies behind the version at p: 0, TW_E_NOT_FOUND when there is nothing, TW_E_BUSY, TW_REPLACED. */
static inline int tw_side_copy_(const tw_side *s, const unsigned char *p, void *dst, uint32_t bytes)
{
	int i;
	if (tw_side_replaced(s))
		return TW_REPLACED;
	for (i = 0; i < 4096; i++) {
		uint64_t generation = tw_acquire64_(s->base_ + TW_SIDE_OFF_GENERATION);
		uint64_t version = tw_acquire64_(p);
		if ((version & 1) != 0)
			continue;
		if (version == 0)
			return TW_E_NOT_FOUND;
		tw_copy_((unsigned char *)dst, p + 8, bytes);
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		if (tw_load64_(p) == version && tw_load64_(s->base_ + TW_SIDE_OFF_GENERATION) == generation)
			return 0;
	}
	return TW_E_BUSY;
}

static inline const unsigned char *tw_side_entry_(const tw_side *s, uint64_t index)
{
	return s->base_ + TW_SIDE_HEADER + index * s->entry_bytes_;
}

/* Opens a directory: <feed>.<lane>.inst. 0, or TW_E_…; on an error there is nothing to close. */
static inline int tw_inst_open(tw_side *s, const char *path)
{
	int err = tw_side_open_(s, path, "TWINST01", TW_INST_ENTRY);
	if (err == 0 && (s->capacity_ < 2 || (s->capacity_ & (s->capacity_ - 1)) != 0)) {
		tw_side_close(s);
		err = TW_E_CAPACITY;
	}
	return err;
}

/* Copies the entry at an index below tw_side_capacity: to walk over all. 0, TW_E_NOT_FOUND when the place is empty,
 * TW_E_BUSY or TW_REPLACED. */
static inline int tw_inst_at(const tw_side *s, uint64_t index, tw_inst *out)
{
	if (index >= s->capacity_)
		return TW_E_NOT_FOUND;
	return tw_side_copy_(s, tw_side_entry_(s, index), out, sizeof *out);
}

/* Copies an instrument's entry; *index (may be NULL) is its place, which is its place in .last too. 0, TW_E_NOT_FOUND,
 * TW_E_BUSY or TW_REPLACED. No call into the kernel. */
static inline int tw_inst_lookup(const tw_side *s, uint16_t publisher, uint32_t instrument, tw_inst *out, uint64_t *index)
{
	uint64_t key = (uint64_t)publisher << 32 | instrument, n;
	int shift = 64 - __builtin_ctzll(s->capacity_);
	uint64_t at = key * UINT64_C(0x9E3779B97F4A7C15) >> shift;
	for (n = 0; n < s->capacity_; n++, at++) {
		int err = tw_inst_at(s, at & (s->capacity_ - 1), out);
		if (err != 0)
			return err;
		if (out->instrument_id == instrument && out->publisher_id == publisher) {
			if (index != NULL)
				*index = at & (s->capacity_ - 1);
			return 0;
		}
	}
	return TW_E_NOT_FOUND;
}

/* Finds a publisher's instrument by its raw symbol: a walk over the whole directory, not for the hot path. 0,
 * TW_E_NOT_FOUND, TW_REPLACED, or TW_E_BUSY when it may be an entry that was being changed. */
static inline int tw_inst_find(const tw_side *s, uint16_t publisher, const char *symbol, tw_inst *out)
{
	uint64_t i;
	int missing = TW_E_NOT_FOUND;
	if (symbol[0] == 0) /* entries without a definition have no symbol */
		return TW_E_NOT_FOUND;
	for (i = 0; i < s->capacity_; i++) {
		int err = tw_inst_at(s, i, out);
		if (err == 0 && out->publisher_id == publisher && strncmp(out->raw_symbol, symbol, sizeof out->raw_symbol) == 0)
			return 0;
		if (err == TW_REPLACED)
			return err;
		if (err == TW_E_BUSY)
			missing = err;
	}
	return missing;
}

/* Opens last values: <feed>.<lane>.last, which go with the directory of the same feed and lane. */
static inline int tw_last_open(tw_side *s, const char *path)
{
	return tw_side_open_(s, path, "TWLAST01", TW_LAST_ENTRY);
}

/* Copies the latest mbp1 record of an instrument: last(id). 0, TW_E_NOT_FOUND, TW_E_BUSY or TW_REPLACED (of either file:
 * open both again). No call into the kernel. */
static inline int tw_last(const tw_side *last, const tw_side *inst, uint16_t publisher, uint32_t instrument, tw_mbp1_slot *out)
{
	tw_inst entry;
	uint64_t index;
	int err = tw_inst_lookup(inst, publisher, instrument, &entry, &index);
	if (err != 0)
		return err;
	if (index >= last->capacity_)
		return TW_E_NOT_FOUND; /* a directory and values of different files */
	err = tw_side_copy_(last, tw_side_entry_(last, index), out, sizeof *out);
	/* Between the two reads a session may have begun, and the place be another instrument's. */
	if (err == 0 && (out->rec.hdr.instrument_id != instrument || out->rec.hdr.publisher_id != publisher))
		return TW_E_NOT_FOUND;
	return err;
}

/* Opens snapshots: <feed>.<lane>.snap. A file that became too small is replaced: TW_REPLACED when it is read. */
static inline int tw_snap_open(tw_side *s, const char *path)
{
	int err = tw_side_open_(s, path, "TWSNAP01", TW_SNAP_ENTRY);
	if (err == 0 && s->bytes_ < TW_SIDE_HEADER + 2 * s->capacity_ * TW_SNAP_ENTRY) {
		tw_side_close(s);
		err = TW_E_FILE_SIZE;
	}
	return err;
}

/* What a snapshot holds at. */
typedef struct tw_snapshot {
	uint64_t seq;   /* the last mbo record that is in it: go on at seq+1 */
	uint64_t epoch; /* of the mbo ring */
	uint64_t ts;    /* ns since 1970 */
	uint64_t orders;
	uint64_t records; /* that it has: for each instrument R, then A for each resting order in its queue's order */
} tw_snapshot;

/* Copies the newest whole snapshot: at most room records to recs. 0; TW_E_NO_ROOM with *info filled in when it takes more
 * (recs NULL and room 0 ask for the size); TW_E_NOT_FOUND when there is none yet; TW_E_BUSY; TW_REPLACED. Never more than
 * tw_side_capacity records. */
static inline int tw_snap_read(const tw_side *s, tw_mbo *recs, uint64_t room, tw_snapshot *info)
{
	uint64_t n;
	int i;
	if (tw_side_replaced(s))
		return TW_REPLACED;
	for (i = 0; i < 64; i++) {
		uint64_t buffer = tw_acquire64_(s->base_ + TW_SIDE_OFF_ACTIVE) & 1;
		const unsigned char *line = s->base_ + TW_SNAP_CONTROL + buffer * TW_SNAP_LINE;
		uint64_t version = tw_acquire64_(line);
		if (version == 0)
			return TW_E_NOT_FOUND;
		if ((version & 1) != 0)
			continue;
		info->seq = tw_load64_(line + 8);
		info->records = tw_load64_(line + 16);
		info->ts = tw_load64_(line + 24);
		info->epoch = tw_load64_(line + 32);
		info->orders = tw_load64_(line + 40);
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		if (tw_load64_(line) != version || info->records > s->capacity_)
			continue;
		if (info->records > room)
			return TW_E_NO_ROOM;
		for (n = 0; n < info->records; n++)
			tw_copy_((unsigned char *)(recs + n), s->base_ + TW_SIDE_HEADER + (buffer * s->capacity_ + n) * TW_SNAP_ENTRY, TW_SNAP_ENTRY);
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		if (tw_load64_(line) == version)
			return 0;
	}
	return TW_E_BUSY;
}

/* Gives whoever joins late, or was lapped, a book: the newest snapshot in recs, and the mbo ring at the record behind it.
 * 0; or what tw_snap_read or tw_ring_seek say; or TW_E_EPOCH, TW_E_NOT_MBO. On an error the ring's place is unchanged.
 *
 *     TW_E_NO_ROOM                      give it info->records and some more
 *     TW_REPLACED                       close snap and open it again
 *     TW_E_TOO_OLD, TW_E_EPOCH,         wait for the next snapshot, a second away at most, and try again; tw_side_silence
 *     TW_E_NOT_FOUND, TW_E_BUSY         of snap beyond that says that none is coming
 */
static inline int tw_book_join(tw_ring *ring, const tw_side *snap, tw_mbo *recs, uint64_t room, tw_snapshot *info)
{
	uint64_t next = ring->next, epoch = ring->epoch, unused = ring->unused_;
	int err;
	if (ring->kind != TW_KIND_MBO)
		return TW_E_NOT_MBO;
	err = tw_snap_read(snap, recs, room, info);
	if (err != 0)
		return err;
	err = tw_ring_seek(ring, info->seq + 1);
	if (err == 0 && ring->epoch != info->epoch) {
		ring->next = next;
		ring->epoch = epoch;
		ring->unused_ = unused;
		return TW_E_EPOCH;
	}
	return err;
}

/* Opens the counters of a process: <process>.stats. They may be read after it died, too. */
static inline int tw_stats_open(tw_side *s, const char *path)
{
	return tw_side_open_(s, path, "TWSTAT01", TW_STATS_ENTRY);
}

/* Calls fn with each counter: kind is TW_STAT_. The name is valid until close. Each value is one word, and values are not
 * of one moment. */
static inline void tw_stats_each(const tw_side *s, void (*fn)(void *with, const char *name, int kind, uint64_t value), void *with)
{
	uint64_t i, n = tw_acquire64_(s->base_ + TW_SIDE_OFF_COUNT);
	for (i = 0; i < n && i < s->capacity_; i++) {
		const unsigned char *e = tw_side_entry_(s, i);
		if (e[TW_STATS_ENTRY - 1] == 0) /* a name without its end is none of ours */
			fn(with, (const char *)(e + TW_STATS_OFF_NAME), e[TW_STATS_OFF_KIND], tw_load64_(e));
	}
}

/* ---- end of files beside the rings ---- */

/* ---- being seen (optional) ----
 *
 * Nobody sees who reads a ring. A reader that wants to be seen by `tickwire status` and the operator's monitoring keeps a file
 * of its own, readers/<ring>.<pid>.<n>.progress in the ring's folder (ABI.md 2b):
 *
 *     tw_progress progress;
 *     int seen = tw_progress_open(&progress, &ring, path, "my strategy") == 0;   // reading goes on either way
 *     … each some thousand records, and when a poll gave none:
 *     if (seen) tw_progress_update(&progress, &ring);
 *     … tw_progress_close(&progress);
 *
 * An update is four stores and a look at the clock, no call into the kernel. The kernel says whose the file is; it holds
 * a lock on it that ends with the process, so that a killed reader's is recognised and removed.
 */

#define TW_PROGRESS_BYTES 128
#define TW_PROGRESS_OFF_VERSION 8 /* u16 major 1, u16 minor */
#define TW_PROGRESS_OFF_PID 12    /* u32 */
#define TW_PROGRESS_OFF_NAME 16   /* char[32] */
#define TW_PROGRESS_OFF_NEXT 48   /* u64 */
#define TW_PROGRESS_OFF_LOST 56   /* u64 */
#define TW_PROGRESS_OFF_EPOCH 64  /* u64 */
#define TW_PROGRESS_OFF_BEAT 72   /* u64, CLOCK_MONOTONIC ns */
#define TW_PROGRESS_OFF_UUID 80   /* u8[16], of the ring file */

/* A progress file. All of it is private. */
typedef struct tw_progress {
	unsigned char *line_;
	int fd_;
	char path_[512];
} tw_progress;

static inline void tw_store64_(unsigned char *p, uint64_t v)
{
	__atomic_store_n((uint64_t *)(void *)p, v, __ATOMIC_RELAXED);
}

/* Says how far the ring's reader is. Hot enough for each thousand records. */
static inline void tw_progress_update(tw_progress *p, const tw_ring *r)
{
	tw_store64_(p->line_ + TW_PROGRESS_OFF_NEXT, r->next);
	tw_store64_(p->line_ + TW_PROGRESS_OFF_LOST, r->lost);
	tw_store64_(p->line_ + TW_PROGRESS_OFF_EPOCH, r->epoch);
	tw_store64_(p->line_ + TW_PROGRESS_OFF_BEAT, tw_monotonic_ns_());
}

/* Removes the file. May be called after a failed open, too. */
static inline void tw_progress_close(tw_progress *p)
{
	if (p->line_ != NULL)
		munmap(p->line_, TW_PROGRESS_BYTES);
	if (p->fd_ >= 0) {
		unlink(p->path_);
		close(p->fd_);
	}
	p->line_ = NULL;
	p->fd_ = -1;
}

/* Makes the file of a reader named name (at most 31 bytes) of the ring that was opened at path. 0; or TW_E_OPEN when it
 * cannot be made (errno: ENAMETOOLONG, EACCES where the folder is not for us, ENOSPC, …); or TW_E_MAP. */
static inline int tw_progress_open(tw_progress *p, const tw_ring *r, const char *path, const char *name)
{
	unsigned char line[TW_PROGRESS_BYTES];
	struct stat st;
	const char *slash = strrchr(path, '/'), *file = slash == NULL ? path : slash + 1;
	int dir = slash == NULL ? 2 : (int)(slash - path) + 1; /* bytes of the folder, with its slash */
	const char *in = slash == NULL ? "./" : path;
	size_t bytes = strlen(file);
	uint32_t pid = (uint32_t)getpid();
	uint16_t major = 1;
	int n, made = -1;
	memset(p, 0, sizeof *p);
	p->fd_ = -1;
	if (bytes > 5 && strcmp(file + bytes - 5, ".ring") == 0)
		bytes -= 5;
	if ((size_t)dir + bytes + 64 > sizeof p->path_)
		return TW_E_OPEN;
	snprintf(p->path_, sizeof p->path_, "%.*sreaders", dir, in);
	if (mkdir(p->path_, 0700) == 0) { /* who may enter the ring's folder may leave a file there and remove its own */
		mode_t mode = 01770;
		char parent[sizeof p->path_];
		snprintf(parent, sizeof parent, "%.*s", dir, in);
		if (stat(parent, &st) == 0) {
			if (chown(p->path_, (uid_t)-1, st.st_gid) != 0)
				mode = 01770; /* no member of that group: the folder stays our group's */
			if ((st.st_mode & 01) != 0)
				mode |= 07;
		}
		if (chmod(p->path_, mode) != 0)
			return TW_E_OPEN;
	}
	for (n = 0; n < 4096 && made < 0; n++) {
		snprintf(p->path_, sizeof p->path_, "%.*sreaders/%.*s.%u.%d.progress", dir, in, (int)bytes, file, pid, n);
		made = open(p->path_, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
		if (made < 0 && errno != EEXIST)
			return TW_E_OPEN;
	}
	if (made < 0)
		return TW_E_OPEN;
	p->fd_ = made;
	memset(line, 0, sizeof line);
	memcpy(line, "TWPROG01", 8);
	memcpy(line + TW_PROGRESS_OFF_VERSION, &major, 2);
	memcpy(line + TW_PROGRESS_OFF_PID, &pid, 4);
	for (n = 0; n < 31 && name[n] != 0; n++)
		line[TW_PROGRESS_OFF_NAME + n] = (unsigned char)name[n];
	memcpy(line + TW_PROGRESS_OFF_NEXT, &r->next, 8);
	memcpy(line + TW_PROGRESS_OFF_LOST, &r->lost, 8);
	memcpy(line + TW_PROGRESS_OFF_EPOCH, &r->epoch, 8);
	memcpy(line + TW_PROGRESS_OFF_UUID, tw_ring_uuid(r), 16);
	/* Locked first, then written (not stretched: a full file system says so here, not by a signal later). */
	if (flock(made, LOCK_EX | LOCK_NB) != 0 || fchmod(made, 0644) != 0 || pwrite(made, line, sizeof line, 0) != (ssize_t)sizeof line) {
		tw_progress_close(p);
		return TW_E_OPEN;
	}
	p->line_ = (unsigned char *)mmap(NULL, TW_PROGRESS_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, made, 0);
	if ((void *)p->line_ == MAP_FAILED) {
		p->line_ = NULL;
		tw_progress_close(p);
		return TW_E_MAP;
	}
	tw_progress_update(p, r);
	return 0;
}

/* ---- end of being seen ---- */

#ifdef __cplusplus
}
#endif
#endif /* TICKRING_H */
