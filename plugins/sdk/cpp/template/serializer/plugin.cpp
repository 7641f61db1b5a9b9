// Rows as JSON, an object a line:
//
//    {"ts":1700000000000000000,"symbol":"AAPL","side":"B","price":100.500000000,"size":300}
//
// No price is null. In texts what is no plain ASCII is written as \u00.., byte by byte, so a line is JSON whatever a symbol holds.
#include "tickwire.hpp"

enum {
	ROWS = 1024,
	STRIDE = 72,     // the longest symbol that there is, and a NUL: none is cut
	MOST_LINE = 560, // bytes: 20, 432, 6, 21 and 20 for the values, 47 around them
};

static tickwire::room<ROWS * MOST_LINE> out;
static tickwire::column<uint64_t, ROWS> ts_event, size;
static tickwire::column<char[STRIDE], ROWS> symbol;
static tickwire::column<uint8_t, ROWS> side;
static tickwire::column<int64_t, ROWS> price;
static constinit auto rows =
	tickwire::layout(ROWS, ts_event.read(TW_TS_EVENT), symbol.read(TW_SYMBOL), side.read(TW_SIDE), price.read(TW_PRICE), size.read(TW_SIZE)).output(out);
TICKWIRE_UNITS(rows)

static uint8_t *character(uint8_t *p, uint8_t c)
{
	if (c >= ' ' && c < 0x7f && c != '"' && c != '\\') {
		*p++ = c;
		return p;
	}
	p = TW_PUT(p, "\\u00");
	*p++ = uint8_t("0123456789abcdef"[c >> 4]);
	*p++ = uint8_t("0123456789abcdef"[c & 15]);
	return p;
}

int32_t tw_serialize(int32_t unit, int32_t n)
{
	uint8_t *p = out.row;
	for (int32_t i = 0; i < n; i++) {
		p = tw_put_u64(TW_PUT(p, "{\"ts\":"), ts_event[i]);
		p = TW_PUT(p, ",\"symbol\":\"");
		for (char c : symbol[i]) {
			if (c == 0)
				break;
			p = character(p, uint8_t(c));
		}
		p = character(TW_PUT(p, "\",\"side\":\""), side[i]);
		p = TW_PUT(p, "\",\"price\":");
		p = price[i] == TW_UNDEF_PRICE ? TW_PUT(p, "null") : tw_put_price(p, price[i]);
		p = tw_put_u64(TW_PUT(p, ",\"size\":"), size[i]);
		p = TW_PUT(p, "}\n");
	}
	return int32_t(p - out.row);
}
