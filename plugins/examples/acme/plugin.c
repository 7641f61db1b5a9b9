/* The market data of Acme, an exchange that there is not: what a private wire format looks like as a plugin. Little-endian, UDP, prices in 1e-4, times in ns since
 * midnight. A packet is a header and whole messages:
 *
 *    0         2          3        4           8            16
 *    +---------+----------+--------+-----------+------------+----------+-- -
 *    | "AC"    | version  | count  | session   | sequence   | messages
 *    | u16     | u8 1     | u8     | u32       | u64, first |
 *    +---------+----------+--------+-----------+------------+----------+-- -
 *
 * count 0 is a heartbeat whose sequence is the next one's; 255 ends the session. A message begins with its type and its length, this byte and that one counted:
 *
 *    type  length  fields (offset:width)
 *    'I'   32      instrument 4:4  time 8:8  symbol 16:16, filled up with NUL
 *    'A'   40      side 2:1 'B' 'S'  instrument 4:4  time 8:8  order 16:8  price 24:8  size 32:4
 *    'E'   40      instrument 4:4  time 8:8  order 16:8  match 24:8  size 32:4
 *    'D'   24      instrument 4:4  time 8:8  order 16:8
 *
 * Types that are not known are stepped over by their length; one that is longer than its type is a newer revision, and its known part is read.
 * A message that is shorter than its type refuses the packet, and so does a symbol that is none: what comes from a network is checked here, for the host takes a
 * row that cannot be for a fault of the plugin. */
#include "tickwire.h"

enum { ROWS = 1024, HEADER = 16, END_OF_SESSION = 255, PACKET = 64 << 10, SYMBOL = 16 };

TW_BYTES(in, PACKET);
static struct tw_frame frame __attribute__((aligned(64)));

TW_COLUMN(uint8_t, kind, ROWS);
TW_COLUMN(uint8_t, side, ROWS);
TW_COLUMN(uint32_t, instrument, ROWS);
TW_COLUMN(uint64_t, ts_event, ROWS);
TW_COLUMN(uint64_t, sequence, ROWS);
TW_COLUMN(uint64_t, order_id, ROWS);
TW_COLUMN(uint64_t, aux, ROWS);
TW_COLUMN(int64_t, price, ROWS);
TW_COLUMN(uint64_t, size, ROWS);
TW_TEXTS(symbol, ROWS, SYMBOL);
TW_LAYOUT_IO(rows, ROWS, in, sizeof in, &frame, sizeof frame, TW_WRITE(TW_KIND, kind), TW_WRITE(TW_SIDE, side), TW_WRITE(TW_INSTRUMENT_ID, instrument),
             TW_WRITE(TW_TS_EVENT, ts_event), TW_WRITE(TW_SEQUENCE, sequence), TW_WRITE(TW_ORDER_ID, order_id), TW_WRITE(TW_AUX, aux),
             TW_WRITE(TW_PRICE, price), TW_WRITE(TW_SIZE, size), TW_WRITE(TW_SYMBOL, symbol));
TW_UNITS(&rows)

static uint64_t midnight;

static const char *error = "";
static int32_t error_len;

#define REFUSE(text) (error = (text), error_len = sizeof(text) - 1, -1)

int64_t tw_error(void)
{
	return tw_bytes(error, (uint32_t)error_len);
}

static uint32_t u32(const uint8_t *b)
{
	uint32_t v;
	__builtin_memcpy(&v, b, 4);
	return v;
}

static uint64_t u64(const uint8_t *b)
{
	uint64_t v;
	__builtin_memcpy(&v, b, 8);
	return v;
}

static int ours(int32_t len)
{
	return len >= HEADER && in[0] == 'A' && in[1] == 'C' && in[2] == 1;
}

int32_t tw_looks(int32_t unit, int32_t len)
{
	return !ours(len) ? 0 : in[3] == 0 ? 60 : 90;
}

int32_t tw_start(int32_t unit, int64_t at)
{
	midnight = (uint64_t)at;
	return 0;
}

int32_t tw_frame(int32_t unit, int32_t len)
{
	if (!ours(len))
		return REFUSE("acme: the packet does not begin with AC and version 1");
	uint32_t session = u32(in + 4);
	frame.sequence = u64(in + 8);
	frame.count = in[3] == END_OF_SESSION ? 0 : in[3];
	frame.kind = in[3] == END_OF_SESSION ? 2 : in[3] == 0 ? 1 : 0;
	frame.at = HEADER;
	for (int i = 9; i >= 0; i--, session /= 10)
		frame.session[i] = (char)('0' + session % 10);
	return 0;
}

/* Length of a type, 0: not known. */
static int32_t length_of(uint8_t type)
{
	switch (type) {
	case 'I':
		return 32;
	case 'A':
	case 'E':
		return 40;
	case 'D':
		return 24;
	}
	return 0;
}

/* Copies a symbol up to its NUL; 0: it is none, which is at least one printable character and no space. */
static int copy_symbol(char *to, const uint8_t *from)
{
	int n = 0;
	while (n < SYMBOL && from[n] > ' ' && from[n] < 0x7f)
		n++;
	if (n == 0 || (n < SYMBOL && from[n] != 0))
		return 0;
	for (int i = 0; i < n; i++)
		to[i] = (char)from[i];
	return 1;
}

static int32_t decode(const uint8_t *m, int32_t i, uint64_t seq)
{
	instrument[i] = u32(m + 4);
	ts_event[i] = midnight + u64(m + 8);
	sequence[i] = seq;
	side[i] = 'N';
	order_id[i] = aux[i] = size[i] = 0;
	price[i] = TW_UNDEF_PRICE;
	__builtin_memset(symbol[i], 0, sizeof symbol[i]);
	switch (m[0]) {
	case 'I':
		kind[i] = TW_KIND_DEFINITION;
		if (!copy_symbol(symbol[i], m + 16))
			return REFUSE("acme: an instrument whose symbol is empty, or not printable");
		break;
	case 'A': {
		int64_t px = (int64_t)u64(m + 24);
		if ((m[2] != 'B' && m[2] != 'S') || px > INT64_MAX / 100000 || px < -(INT64_MAX / 100000))
			return REFUSE("acme: an order with a side other than B and S, or a price too large");
		kind[i] = TW_KIND_ADD;
		side[i] = m[2] == 'B' ? 'B' : 'A';
		order_id[i] = u64(m + 16);
		price[i] = px * 100000;
		size[i] = u32(m + 32);
		break;
	}
	case 'E':
		kind[i] = TW_KIND_EXEC;
		order_id[i] = u64(m + 16);
		aux[i] = u64(m + 24);
		size[i] = u32(m + 32);
		break;
	case 'D':
		kind[i] = TW_KIND_DELETE;
		order_id[i] = u64(m + 16);
		break;
	}
	return 0;
}

int32_t tw_parse(int32_t unit, int32_t len, int64_t first, int32_t count)
{
	int32_t at = 0, n = 0;
	for (int32_t seen = 0; seen < count; seen++) {
		if (len - at < 2 || in[at + 1] < 2 || in[at + 1] > len - at)
			return REFUSE("acme: a message reaches beyond the packet");
		const uint8_t *m = in + at;
		int32_t want = length_of(m[0]);
		at += m[1];
		if (want == 0)
			continue;
		if (m[1] < want)
			return REFUSE("acme: a message is shorter than its type");
		if (decode(m, n, (uint64_t)first + (uint32_t)seen) < 0)
			return -1;
		n++;
	}
	return n;
}
