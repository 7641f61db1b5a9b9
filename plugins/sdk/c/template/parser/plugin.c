/* A wire format of one message a packet, a trade, little-endian:
 *
 *    0              4        8               16                       24
 *    | instrument   | size   | price, 1e-9   | time, ns since 1970    |
 */
#include "tickwire.h"

enum { ROWS = 1024, MESSAGE = 24 };

TW_BYTES(in, 64 << 10);
TW_COLUMN(uint8_t, kind, ROWS);
TW_COLUMN(uint8_t, side, ROWS);
TW_COLUMN(uint32_t, instrument, ROWS);
TW_COLUMN(uint64_t, ts_event, ROWS);
TW_COLUMN(uint64_t, sequence, ROWS);
TW_COLUMN(int64_t, price, ROWS);
TW_COLUMN(uint64_t, size, ROWS);
TW_LAYOUT_IO(rows, ROWS, in, sizeof in, 0, 0, TW_WRITE(TW_KIND, kind), TW_WRITE(TW_SIDE, side), TW_WRITE(TW_INSTRUMENT_ID, instrument),
             TW_WRITE(TW_TS_EVENT, ts_event), TW_WRITE(TW_SEQUENCE, sequence), TW_WRITE(TW_PRICE, price), TW_WRITE(TW_SIZE, size));
TW_UNITS(&rows)

int32_t tw_parse(int32_t unit, int32_t len, int64_t first, int32_t count)
{
	struct { uint32_t instrument, size; int64_t price; uint64_t time; } m;
	if (len != MESSAGE)
		return -1;
	__builtin_memcpy(&m, in, MESSAGE);
	kind[0] = TW_KIND_TRADE;
	side[0] = 'N';
	instrument[0] = m.instrument;
	ts_event[0] = m.time;
	sequence[0] = (uint64_t)first;
	price[0] = m.price;
	size[0] = m.size;
	return 1;
}
