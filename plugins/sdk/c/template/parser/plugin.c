/* A wire format of trades over UDP, little-endian. A packet is a header and as many messages as it says, none is a heartbeat:
 *
 *    0          8       12       16
 *    | sequence | count | "TRD1" | messages …      sequence of the first message, of a heartbeat the next one's
 *
 *    0            4      8              16                    24
 *    | instrument | size | price, 1e-9  | time, ns since 1970 |
 */
#include "tickwire.h"

enum { ROWS = 1024, HEADER = 16, MAGIC = 0x31445254 };

struct message {
	uint32_t instrument, size;
	int64_t price;
	uint64_t time;
};

TW_BYTES(in, 64 << 10);
static struct tw_frame frame __attribute__((aligned(64)));

TW_COLUMN(uint8_t, kind, ROWS);
TW_COLUMN(uint8_t, side, ROWS);
TW_COLUMN(uint32_t, instrument, ROWS);
TW_COLUMN(uint64_t, ts_event, ROWS);
TW_COLUMN(uint64_t, sequence, ROWS);
TW_COLUMN(int64_t, price, ROWS);
TW_COLUMN(uint64_t, size, ROWS);
TW_LAYOUT_IO(rows, ROWS, in, sizeof in, &frame, sizeof frame, TW_WRITE(TW_KIND, kind), TW_WRITE(TW_SIDE, side), TW_WRITE(TW_INSTRUMENT_ID, instrument),
             TW_WRITE(TW_TS_EVENT, ts_event), TW_WRITE(TW_SEQUENCE, sequence), TW_WRITE(TW_PRICE, price), TW_WRITE(TW_SIZE, size));
TW_UNITS(&rows)
TW_ERRORS

static uint32_t u32(const uint8_t *b)
{
	uint32_t v;
	__builtin_memcpy(&v, b, sizeof v);
	return v;
}

int32_t tw_looks(int32_t unit, int32_t len)
{
	return len >= HEADER && u32(in + 12) == MAGIC ? 90 : 0;
}

int32_t tw_frame(int32_t unit, int32_t len)
{
	if (!tw_looks(unit, len))
		return TW_FAIL("the packet has no header of this format");
	__builtin_memcpy(&frame.sequence, in, sizeof frame.sequence);
	frame.count = u32(in + 8);
	frame.kind = frame.count == 0;
	frame.at = HEADER;
	return 0;
}

int32_t tw_parse(int32_t unit, int32_t len, int64_t first, int32_t count)
{
	if (count < 0 || count > ROWS || (uint32_t)len != (uint32_t)count * sizeof(struct message))
		return TW_FAIL("the packet has not as many messages as its header says");
	for (int32_t i = 0; i < count; i++) {
		struct message m;
		__builtin_memcpy(&m, in + (uint32_t)i * sizeof m, sizeof m);
		kind[i] = TW_KIND_TRADE;
		side[i] = 'N';
		instrument[i] = m.instrument;
		ts_event[i] = m.time;
		sequence[i] = (uint64_t)first + (uint64_t)i;
		price[i] = m.price;
		size[i] = m.size;
	}
	return count;
}
