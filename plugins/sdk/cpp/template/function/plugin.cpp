// mid(bid, ask): the middle between two prices.
#include "tickwire.hpp"

static tickwire::column<int64_t, 1024> bid, ask, result;
static constinit tickwire::layout call(1024, bid.read(TW_ARG), ask.read(TW_ARG + 1), result.write(TW_RESULT));
TICKWIRE_UNITS(call)

int32_t tw_function(int32_t unit, int32_t n)
{
	for (int32_t i = 0; i < n; i++)
		result[i] = (bid[i] & ask[i]) + ((bid[i] ^ ask[i]) >> 1); // the sum would not always fit
	return n;
}
