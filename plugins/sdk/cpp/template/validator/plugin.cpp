// Flags rows whose price is not above zero.
#include "tickwire.hpp"

static tickwire::column<int64_t, 1024> price;
static tickwire::column<uint8_t, 1024> row_ctl, reason;
static constinit tickwire::layout rows(1024, price.read(TW_PRICE), row_ctl.write(TW_ROW_CTL), reason.write(TW_REASON));
TICKWIRE_UNITS(rows)

enum { NOT_ABOVE_ZERO }; // indexes into the manifest's reasons

int32_t tw_validate(int32_t unit, int32_t n)
{
	int32_t not_kept = 0;
	for (int32_t i = 0; i < n; i++) {
		if (price[i] > 0)
			continue;
		row_ctl[i] = TW_FLAG;
		reason[i] = NOT_ABOVE_ZERO;
		not_kept++;
	}
	return not_kept;
}
