/* mid(bid, ask): the middle between two prices. */
#include "tickwire.h"

TW_COLUMN(int64_t, bid, 1024);
TW_COLUMN(int64_t, ask, 1024);
TW_COLUMN(int64_t, result, 1024);
TW_LAYOUT(call, 1024, TW_READ(TW_ARG, bid), TW_READ(TW_ARG + 1, ask), TW_WRITE(TW_RESULT, result));
TW_UNITS(&call)

int32_t tw_function(int32_t unit, int32_t n)
{
	for (int32_t i = 0; i < n; i++)
		result[i] = (bid[i] & ask[i]) + ((bid[i] ^ ask[i]) >> 1); /* the sum would not always fit */
	return n;
}
