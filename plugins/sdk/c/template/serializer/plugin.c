/* Rows as JSON, an object a line:
 *
 *    {"ts":1700000000000000000,"symbol":"AAPL","side":"B","price":100.500000000,"size":300}
 *
 * No price is null. In texts what is no plain ASCII is written as \u00.., byte by byte, so a line is JSON whatever a symbol holds. */
#include "tickwire.h"

enum {
	ROWS = 1024,
	STRIDE = 72,     /* the longest symbol that there is, and a NUL: none is cut */
	MOST_LINE = 560, /* bytes: 20, 432, 6, 21 and 20 for the values, 47 around them */
};

TW_BYTES(out, ROWS * MOST_LINE);
TW_COLUMN(uint64_t, ts_event, ROWS);
TW_TEXTS(symbol, ROWS, STRIDE);
TW_COLUMN(uint8_t, side, ROWS);
TW_COLUMN(int64_t, price, ROWS);
TW_COLUMN(uint64_t, size, ROWS);
TW_LAYOUT_IO(rows, ROWS, 0, 0, out, sizeof out, TW_READ(TW_TS_EVENT, ts_event), TW_READ(TW_SYMBOL, symbol), TW_READ(TW_SIDE, side),
             TW_READ(TW_PRICE, price), TW_READ(TW_SIZE, size));
TW_UNITS(&rows)

static uint8_t *character(uint8_t *p, uint8_t c)
{
	static const char hex[] = "0123456789abcdef";
	if (c >= ' ' && c < 0x7f && c != '"' && c != '\\') {
		*p++ = c;
		return p;
	}
	p = TW_PUT(p, "\\u00");
	*p++ = (uint8_t)hex[c >> 4];
	*p++ = (uint8_t)hex[c & 15];
	return p;
}

int32_t tw_serialize(int32_t unit, int32_t n)
{
	uint8_t *p = out;
	for (int32_t i = 0; i < n; i++) {
		p = tw_put_u64(TW_PUT(p, "{\"ts\":"), ts_event[i]);
		p = TW_PUT(p, ",\"symbol\":\"");
		for (int b = 0; b < STRIDE && symbol[i][b]; b++)
			p = character(p, (uint8_t)symbol[i][b]);
		p = character(TW_PUT(p, "\",\"side\":\""), side[i]);
		p = TW_PUT(p, "\",\"price\":");
		p = price[i] == TW_UNDEF_PRICE ? TW_PUT(p, "null") : tw_put_price(p, price[i]);
		p = tw_put_u64(TW_PUT(p, ",\"size\":"), size[i]);
		p = TW_PUT(p, "}\n");
	}
	return (int32_t)(p - out);
}
