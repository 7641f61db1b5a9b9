/* A partition for each day (UTC) and one of 16 groups of instruments: all of an instrument's day lies together, and no partition has all of a day. */
#include "tickwire.h"

#define DAY 86400000000000u /* ns */

enum { GROUPS = 16 };

TW_COLUMN(uint64_t, ts_event, 1024);
TW_COLUMN(uint32_t, instrument, 1024);
TW_COLUMN(uint64_t, key, 1024);
TW_LAYOUT(rows, 1024, TW_READ(TW_TS_EVENT, ts_event), TW_READ(TW_INSTRUMENT_ID, instrument), TW_WRITE(TW_RESULT, key));
TW_UNITS(&rows)

int32_t tw_partition(int32_t unit, int32_t n)
{
	for (int32_t i = 0; i < n; i++) /* numbers of neighbours fall into groups far apart: the upper bits of a product with 2^32 / φ */
		key[i] = ts_event[i] / DAY * GROUPS + (instrument[i] * 2654435769u >> 28);
	return n;
}
