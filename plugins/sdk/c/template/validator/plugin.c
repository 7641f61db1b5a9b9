/* Flags rows whose price is not above zero. */
#include "tickwire.h"

TW_COLUMN(int64_t, price, 1024);
TW_COLUMN(uint8_t, row_ctl, 1024);
TW_COLUMN(uint8_t, reason, 1024);
TW_LAYOUT(rows, 1024, TW_READ(TW_PRICE, price), TW_WRITE(TW_ROW_CTL, row_ctl), TW_WRITE(TW_REASON, reason));
TW_UNITS(&rows)

enum { NOT_ABOVE_ZERO }; /* indexes into the manifest's reasons */

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
