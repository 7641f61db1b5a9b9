/* microprice(bid, ask, bid_size, ask_size): the middle of the quote, moved towards the side with less behind it: bid + spread × bid_size ÷ (bid_size + ask_size).
 * NULL if a size is negative or both are 0, or if the market is crossed. */
#include "tickwire.h"

TW_COLUMN(int64_t, bid, 1024);
TW_COLUMN(int64_t, ask, 1024);
TW_COLUMN(int64_t, bid_size, 1024);
TW_COLUMN(int64_t, ask_size, 1024);
TW_COLUMN(int64_t, result, 1024);
TW_COLUMN(uint8_t, null, 1024);
TW_LAYOUT(call, 1024, TW_READ(TW_ARG, bid), TW_READ(TW_ARG + 1, ask), TW_READ(TW_ARG + 2, bid_size), TW_READ(TW_ARG + 3, ask_size),
          TW_WRITE(TW_RESULT, result), TW_WRITE(TW_RESULT_NULL, null));
TW_UNITS(&call)

int32_t tw_function(int32_t unit, int32_t n)
{
	for (int32_t i = 0; i < n; i++) {
		int fits = bid_size[i] >= 0 && ask_size[i] >= 0 && (bid_size[i] | ask_size[i]) != 0 && ask[i] >= bid[i];
		uint64_t spread = (uint64_t)ask[i] - (uint64_t)bid[i]; /* its product with a size needs more than 64 bits, and not all of them */
		double share = (double)bid_size[i] / ((double)bid_size[i] + (double)ask_size[i]);
		null[i] = !fits;
		result[i] = 0;
		if (fits)
			result[i] = (int64_t)((uint64_t)bid[i] + (share < 1 ? (uint64_t)((double)spread * share + 0.5) : spread));
	}
	return n;
}
