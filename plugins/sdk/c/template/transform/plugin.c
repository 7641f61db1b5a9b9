/* Adds the spread of the best prices to each row: the custom column `spread`. */
#include "tickwire.h"

TW_COLUMN(int64_t, bid, 1024);
TW_COLUMN(int64_t, ask, 1024);
TW_COLUMN(int64_t, spread, 1024);
TW_LAYOUT(rows, 1024, TW_READ(TW_BID_PX, bid), TW_READ(TW_ASK_PX, ask), TW_WRITE(TW_CUSTOM, spread));
TW_UNITS(&rows)

int32_t tw_transform(int32_t unit, int32_t n)
{
	for (int32_t i = 0; i < n; i++)
		if (bid[i] != TW_UNDEF_PRICE && ask[i] != TW_UNDEF_PRICE)
			spread[i] = ask[i] - bid[i];
	return n;
}
