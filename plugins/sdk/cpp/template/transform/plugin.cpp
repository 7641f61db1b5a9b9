// Adds the spread of the best prices to each row: the custom column `spread`.
#include "tickwire.hpp"

static tickwire::column<int64_t, 1024> bid, ask, spread;
static constinit tickwire::layout rows(1024, bid.read(TW_BID_PX), ask.read(TW_ASK_PX), spread.write(TW_CUSTOM));
TICKWIRE_UNITS(rows)

int32_t tw_transform(int32_t unit, int32_t n)
{
	for (int32_t i = 0; i < n; i++)
		if (bid[i] != TW_UNDEF_PRICE && ask[i] != TW_UNDEF_PRICE)
			spread[i] = ask[i] - bid[i];
	return n;
}
