/* Brings prices of a venue that quotes in another unit to the unit of everybody else: price × multiplier ÷ divisor, rounded half away from zero.
 * What the venue said goes to the custom column raw_price. A price that would not fit stays as it is, and its row is flagged. */
#include "tickwire.h"

TW_COLUMN(int64_t, price, 1024);
TW_COLUMN(int64_t, raw_price, 1024);
TW_COLUMN(uint8_t, row_ctl, 1024);
TW_COLUMN(uint8_t, reason, 1024);
TW_LAYOUT(rows, 1024, TW_BOTH(TW_PRICE, price), TW_WRITE(TW_ROW_CTL, row_ctl), TW_WRITE(TW_REASON, reason), TW_WRITE(TW_CUSTOM, raw_price));
TW_UNITS(&rows)
TW_ROOM(1024)

enum { TOO_LARGE };

static int64_t multiplier = 1, divisor = 100; /* 1 to 1,000,000: the manifest sees to it */

int32_t tw_init(const char *params, int32_t len)
{
	multiplier = tw_param_i64(params, len, "multiplier", 1);
	divisor = tw_param_i64(params, len, "divisor", 100);
	return 0;
}

static int64_t normal(int64_t px)
{
	int64_t product = px * multiplier, rest = product % divisor;
	int64_t away = rest < 0 ? -1 : 1;
	return product / divisor + (rest * away * 2 >= divisor ? away : 0);
}

int32_t tw_transform(int32_t unit, int32_t n)
{
	int64_t most = INT64_MAX / multiplier;
	for (int32_t i = 0; i < n; i++) {
		int64_t px = price[i];
		raw_price[i] = px;
		if (px == TW_UNDEF_PRICE)
			continue;
		if (px > most || px < -most) {
			row_ctl[i] = TW_FLAG;
			reason[i] = TOO_LARGE;
			continue;
		}
		price[i] = normal(px);
	}
	return n;
}
