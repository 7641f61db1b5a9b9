// A partition for each day (UTC) and one of 16 groups of instruments: all of an instrument's day lies together, and no partition has all of a day.
#include "tickwire.hpp"

static constexpr uint64_t day = 86'400'000'000'000; // ns

enum { GROUPS = 16 };

static tickwire::column<uint64_t, 1024> ts_event, key;
static tickwire::column<uint32_t, 1024> instrument;
static constinit tickwire::layout rows(1024, ts_event.read(TW_TS_EVENT), instrument.read(TW_INSTRUMENT_ID), key.write(TW_RESULT));
TICKWIRE_UNITS(rows)

int32_t tw_partition(int32_t unit, int32_t n)
{
	for (int32_t i = 0; i < n; i++) // numbers of neighbours fall into groups far apart: the upper bits of a product with 2^32 / φ
		key[i] = ts_event[i] / day * GROUPS + (instrument[i] * 2654435769u >> 28);
	return n;
}
