/* tickwire.h: everything that a plugin in C needs, and half of what one in C++ does (tickwire.hpp). One header, no library, nothing from libc.
 *
 *     #include "tickwire.h"
 *
 *     TW_COLUMN(int64_t, price, 1024);                             the column: an array, 64-byte aligned
 *     TW_LAYOUT(layout, 1024, TW_BOTH(TW_PRICE, price));           what the host sees of it
 *     TW_UNITS(&layout)                                            one layout for each of the manifest's kinds
 *
 *     int32_t tw_transform(int32_t unit, int32_t n)                the call: n rows lie in the columns
 *     {
 *         for (int32_t i = 0; i < n; i++)
 *             price[i] *= 100;
 *         return n;
 *     }
 *
 * A function of the ABI is exported when it is defined, under its own name. plugins/ABI.md says what each gets and returns; a negative number is an
 * error. Prices are 1e-9, times ns since the Unix epoch, TW_UNDEF_PRICE is no price.
 *
 * Built with: clang --target=wasm32 -O3 -nostdlib -mbulk-memory -Wl,--no-entry -Wl,--strip-all  (tickwire plugin build does it)
 */
#ifndef TICKWIRE_H
#define TICKWIRE_H

#include <stddef.h>
#include <stdint.h>

#define TW_ABI 1
#define TW_UNDEF_PRICE INT64_MAX

/* Kinds of row: what the columns of each mean is written at tick.Kind. */
enum {
	TW_KIND_ADD = 1, TW_KIND_EXEC, TW_KIND_EXEC_AT, TW_KIND_REDUCE, TW_KIND_DELETE, TW_KIND_REPLACE, TW_KIND_TRADE, TW_KIND_CROSS, TW_KIND_BREAK,
	TW_KIND_STATUS, TW_KIND_IMBALANCE, TW_KIND_DEFINITION, TW_KIND_STATISTICS, TW_KIND_EXT, TW_KIND_SYSTEM, TW_KIND_CLEAR, TW_KIND_MODIFY,
	TW_KIND_LEVEL, TW_KIND_IMPLIED, TW_KIND_FILL, TW_KIND_QUOTE,
};

/* Verdicts: row_ctl. */
enum { TW_KEEP = 0, TW_REFUSE = 1, TW_FLAG = 2 };

/* Levels of tw_log. */
enum { TW_DEBUG, TW_INFO, TW_WARN, TW_ERROR };

/* ---- columns and layouts ---------------------------------------------------------------------------------------------------------------- */

/* Numbers of columns. */
enum {
	TW_KIND = 1, TW_SUB, TW_SIDE, TW_FLAGS, TW_INSTRUMENT_ID, TW_TS_EVENT, TW_TS_RECV, TW_SEQUENCE, TW_ORDER_ID, TW_AUX, TW_PRICE, TW_SIZE, TW_STATE,
	TW_LEFT, TW_OLD_PRICE, TW_OLD_SIZE, TW_BID_PX, TW_ASK_PX, TW_BID_SZ, TW_ASK_SZ, TW_BID_CT, TW_ASK_CT, TW_PREV_BID_PX, TW_PREV_ASK_PX,
	TW_PREV_BID_SZ, TW_PREV_ASK_SZ, TW_PREV_BID_CT, TW_PREV_ASK_CT, TW_PUBLISHER_ID, TW_SYMBOL, TW_MPID,
	TW_ROW_CTL = 64, TW_REASON = 65,
	TW_CUSTOM = 128,   /* and on: the transform's own custom columns in the manifest's order */
	TW_EARLIER = 132,  /* and on: those of plugins before it, in the order in which `reads` names them */
	TW_ARG = 512,      /* and on: arguments */
	TW_GROUP = 527,    /* aggregates: the row's group */
	TW_ARG_NULL = 640, /* and on: 1: the argument is NULL */
	TW_RESULT = 768, TW_RESULT_NULL = 769,
};

struct tw_column {
	uint16_t id;
	uint8_t type, access;
	const volatile void *at;
	uint32_t stride, zero;
};

struct tw_layout {
	uint32_t magic, max_rows;
	void *in; /* bytes in: parsers, decoders, indexes, merged states */
	uint32_t in_bytes;
	void *out; /* bytes out: serializers, encoders, indexes, states */
	uint32_t out_bytes, columns, zero;
	struct tw_column column[];
};

#ifdef __cplusplus
extern "C" {
#else /* in C++ columns and layouts are classes */
#define TW_TYPE_OF(array) _Generic((array)[0], uint8_t: 1, uint16_t: 2, uint32_t: 3, uint64_t: 4, int32_t: 5, int64_t: 6, double: 7, char *: 8)

/* A column of rows: uint8_t, uint16_t, uint32_t, uint64_t, int32_t, int64_t or double. */
#define TW_COLUMN(type, name, rows) static type name[rows] __attribute__((aligned(64)))
/* A column of texts of stride bytes (a multiple of 8, to 256), each filled up with NUL: char name[rows][stride]. */
#define TW_TEXTS(name, rows, stride) static char name[rows][stride] __attribute__((aligned(64)))
/* Room for bytes in or out. */
#define TW_BYTES(name, bytes) static uint8_t name[bytes] __attribute__((aligned(64)))

#define TW_READ(id, array) {id, TW_TYPE_OF(array), 1, array, sizeof((array)[0]), 0}
#define TW_WRITE(id, array) {id, TW_TYPE_OF(array), 2, array, sizeof((array)[0]), 0}
#define TW_BOTH(id, array) {id, TW_TYPE_OF(array), 3, array, sizeof((array)[0]), 0}

/* A layout of columns; TW_LAYOUT_IO has bytes in and out besides, 0, 0 where there are none. */
#define TW_LAYOUT(name, rows, ...) TW_LAYOUT_IO(name, rows, 0, 0, 0, 0, __VA_ARGS__)
#define TW_LAYOUT_IO(name, rows, in, in_bytes, out, out_bytes, ...) \
	static struct tw_layout name = {0x31505754, rows, in, in_bytes, out, out_bytes, \
	                                sizeof((struct tw_column[]){__VA_ARGS__}) / sizeof(struct tw_column), 0, {__VA_ARGS__}}

/* The layouts of the manifest's kinds, in order. */
#define TW_UNITS(...) \
	static struct tw_layout *const tw_units[] = {__VA_ARGS__}; \
	int32_t tw_abi(void) { return TW_ABI; } \
	struct tw_layout *tw_layout(int32_t unit) \
	{ \
		return (uint32_t)unit < sizeof tw_units / sizeof tw_units[0] ? tw_units[unit] : NULL; \
	}

/* Room for what the host hands over once: parameters as JSON, or the state to restore. For tw_init and tw_restore. */
#define TW_ROOM(bytes) \
	TW_BYTES(tw_room, bytes); \
	void *tw_alloc(uint32_t want) { return want <= sizeof tw_room ? tw_room : NULL; }

#endif

/* ---- what a plugin may export: define what it needs ----------------------------------------------------------------------------------------- */

#define TW_EXPORT(name) __attribute__((export_name(#name)))

TW_EXPORT(tw_abi) int32_t tw_abi(void);
TW_EXPORT(tw_alloc) void *tw_alloc(uint32_t bytes);
TW_EXPORT(tw_init) int32_t tw_init(const char *params, int32_t len);
TW_EXPORT(tw_layout) struct tw_layout *tw_layout(int32_t unit);
TW_EXPORT(tw_health) int32_t tw_health(void);
TW_EXPORT(tw_shutdown) void tw_shutdown(void);
TW_EXPORT(tw_save) int64_t tw_save(void);
TW_EXPORT(tw_restore) int32_t tw_restore(const void *state, int32_t len);
TW_EXPORT(tw_error) int64_t tw_error(void);

TW_EXPORT(tw_transform) int32_t tw_transform(int32_t unit, int32_t n);
TW_EXPORT(tw_validate) int32_t tw_validate(int32_t unit, int32_t n);
TW_EXPORT(tw_function) int32_t tw_function(int32_t unit, int32_t n);
TW_EXPORT(tw_agg_start) int32_t tw_agg_start(int32_t unit, int32_t groups);
TW_EXPORT(tw_agg_update) int32_t tw_agg_update(int32_t unit, int32_t n, int32_t groups);
TW_EXPORT(tw_agg_merge) int32_t tw_agg_merge(int32_t unit, int32_t groups);
TW_EXPORT(tw_agg_result) int32_t tw_agg_result(int32_t unit, int32_t groups);
TW_EXPORT(tw_start) int32_t tw_start(int32_t unit, int64_t midnight);
TW_EXPORT(tw_frame) int32_t tw_frame(int32_t unit, int32_t len);
TW_EXPORT(tw_looks) int32_t tw_looks(int32_t unit, int32_t len);
TW_EXPORT(tw_parse) int32_t tw_parse(int32_t unit, int32_t len, int64_t first, int32_t count);
TW_EXPORT(tw_begin) int32_t tw_begin(int32_t unit);
TW_EXPORT(tw_serialize) int32_t tw_serialize(int32_t unit, int32_t n);
TW_EXPORT(tw_end) int32_t tw_end(int32_t unit);
TW_EXPORT(tw_type) int32_t tw_type(int32_t unit, int32_t op, int32_t n);
TW_EXPORT(tw_encode) int32_t tw_encode(int32_t unit, int32_t n);
TW_EXPORT(tw_decode) int32_t tw_decode(int32_t unit, int32_t len);
TW_EXPORT(tw_index_build) int32_t tw_index_build(int32_t unit, int32_t n);
TW_EXPORT(tw_index_probe) int32_t tw_index_probe(int32_t unit, int32_t len);
TW_EXPORT(tw_index_advise) int32_t tw_index_advise(int32_t unit, int32_t n);
TW_EXPORT(tw_partition) int32_t tw_partition(int32_t unit, int32_t n);

/* What tw_frame writes to out. */
struct tw_frame {
	uint64_t sequence; /* of the first message */
	uint32_t count;    /* messages */
	uint32_t kind;     /* 0 messages, 1 heartbeat, 2 end of session, 3 beside the sequence */
	uint32_t at;       /* where the messages begin */
	uint32_t zero;
	char session[10];
};

/* Operations of tw_type. */
enum { TW_VALIDATE, TW_NORMALISE, TW_PARSE, TW_FORMAT, TW_COMPARE, TW_HASH };

/* ---- what the host gives: imported when used ------------------------------------------------------------------------------------------------- */

#define TW_IMPORT(name) __attribute__((import_module("tickwire"), import_name(#name)))

TW_IMPORT(log) void tw_log(int32_t level, const char *text, int32_t len);
TW_IMPORT(config) int32_t tw_config(const char *key, int32_t len, char *to, int32_t room);
TW_IMPORT(metric) void tw_metric(const char *key, int32_t len, int64_t add);
TW_IMPORT(now) int64_t tw_now(void);
TW_IMPORT(lookup) int32_t tw_lookup(int32_t instrument, char *to, int32_t room);
TW_IMPORT(define) int32_t tw_define(int32_t instrument, const char *symbol, int32_t len);

/* ---- errors with words -------------------------------------------------------------------------------------------------------------------------- */

/* Once in a plugin; then TW_FAIL("what is wrong") is what a call returns, and the host asks for the text. */
#define TW_ERRORS \
	static const char *tw_said; \
	static uint32_t tw_said_len; \
	int64_t tw_error(void) { return tw_bytes(tw_said, tw_said_len); }
#define TW_FAIL(text) (tw_said = (text), tw_said_len = sizeof(text) - 1, -1)

/* ---- parameters and state --------------------------------------------------------------------------------------------------------------------- */

/* Bytes as tw_save and tw_error return them. */
static inline int64_t tw_bytes(const void *at, uint32_t len)
{
	return (int64_t)((uint64_t)(uintptr_t)at << 32 | len);
}

/* Where a parameter's value begins in the JSON of tw_init, NULL: it is not there. A key stands behind { or , and no text within the JSON can, since a quote
 * within a text has a backslash before it. */
static inline const char *tw_param(const char *params, int32_t len, const char *key)
{
	const char *end = params + len;
	for (const char *p = params; p + 3 < end; p++) {
		if ((p[0] != '{' && p[0] != ',') || p[1] != '"')
			continue;
		const char *q = p + 2, *k = key;
		while (q < end && *k && *q == *k)
			q++, k++;
		if (!*k && q + 2 < end && q[0] == '"' && q[1] == ':')
			return q + 2;
	}
	return NULL;
}

/* A parameter of type i64 or price (in 1e-9), none if it is not there. */
static inline int64_t tw_param_i64(const char *params, int32_t len, const char *key, int64_t none)
{
	const char *p = tw_param(params, len, key), *end = params + len;
	if (!p)
		return none;
	int negative = *p == '-';
	uint64_t v = 0;
	for (p += negative; p < end && *p >= '0' && *p <= '9'; p++)
		v = v * 10 + (uint64_t)(*p - '0');
	return (int64_t)(negative ? 0 - v : v);
}

/* A parameter of type bool. */
static inline int tw_param_bool(const char *params, int32_t len, const char *key)
{
	const char *p = tw_param(params, len, key);
	return p && *p == 't';
}

/* ---- bytes out: each returns where it ended ----------------------------------------------------------------------------------------------------- */

/* A literal, without its NUL. */
#define TW_PUT(to, literal) ((uint8_t *)__builtin_memcpy(to, literal, sizeof(literal) - 1) + sizeof(literal) - 1)

/* Digits, 20 at most. */
static inline uint8_t *tw_put_u64(uint8_t *to, uint64_t v)
{
	uint8_t digits[20];
	int n = 0;
	do
		digits[n++] = (uint8_t)('0' + v % 10);
	while ((v /= 10) != 0);
	while (n > 0)
		*to++ = digits[--n];
	return to;
}

/* A price as a decimal number with nine decimals, 21 bytes at most. */
static inline uint8_t *tw_put_price(uint8_t *to, int64_t px)
{
	uint64_t v = px < 0 ? 0 - (uint64_t)px : (uint64_t)px, part = v % 1000000000;
	if (px < 0)
		*to++ = '-';
	to = tw_put_u64(to, v / 1000000000);
	*to++ = '.';
	for (int i = 8; i >= 0; i--, part /= 10)
		to[i] = (uint8_t)('0' + part % 10);
	return to + 9;
}

#ifdef __cplusplus
}
#endif

#endif
