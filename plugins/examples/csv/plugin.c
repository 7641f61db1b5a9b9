/* Rows as comma-separated values (RFC 4180), a header line first. Prices have nine decimals; no price is an empty field. */
#include "tickwire.h"

enum {
	ROWS = 1024,
	STRIDE = 72,     /* the longest symbol that there is, and a NUL: none is cut */
	MOST_LINE = 256, /* bytes: 20 20 3 146 1 21 20 for the fields, 8 between them */
};

TW_BYTES(out, ROWS * MOST_LINE);
TW_COLUMN(uint64_t, sequence, ROWS);
TW_COLUMN(uint64_t, ts_event, ROWS);
TW_COLUMN(uint8_t, kind, ROWS);
TW_TEXTS(symbol, ROWS, STRIDE);
TW_COLUMN(uint8_t, side, ROWS);
TW_COLUMN(int64_t, price, ROWS);
TW_COLUMN(uint64_t, size, ROWS);
TW_LAYOUT_IO(rows, ROWS, 0, 0, out, sizeof out, TW_READ(TW_SEQUENCE, sequence), TW_READ(TW_TS_EVENT, ts_event), TW_READ(TW_KIND, kind), TW_READ(TW_SYMBOL, symbol),
             TW_READ(TW_SIDE, side), TW_READ(TW_PRICE, price), TW_READ(TW_SIZE, size));
TW_UNITS(&rows)

static uint8_t *number(uint8_t *p, uint64_t v)
{
	uint8_t digits[20];
	int n = 0;
	do
		digits[n++] = (uint8_t)('0' + v % 10);
	while ((v /= 10) != 0);
	while (n > 0)
		*p++ = digits[--n];
	return p;
}

static uint8_t *decimal(uint8_t *p, int64_t px)
{
	if (px == TW_UNDEF_PRICE)
		return p;
	uint64_t v = px < 0 ? 0 - (uint64_t)px : (uint64_t)px, part = v % 1000000000;
	if (px < 0)
		*p++ = '-';
	p = number(p, v / 1000000000);
	*p++ = '.';
	for (int i = 8; i >= 0; i--, part /= 10)
		p[i] = (uint8_t)('0' + part % 10);
	return p + 9;
}

static uint8_t *text(uint8_t *p, const char *s)
{
	int quote = 0;
	for (int i = 0; i < STRIDE && s[i]; i++)
		quote |= s[i] == ',' || s[i] == '"' || s[i] == '\n' || s[i] == '\r';
	if (quote)
		*p++ = '"';
	for (int i = 0; i < STRIDE && s[i]; i++) {
		if (s[i] == '"')
			*p++ = '"';
		*p++ = (uint8_t)s[i];
	}
	if (quote)
		*p++ = '"';
	return p;
}

int32_t tw_begin(int32_t unit)
{
	static const char head[] = "sequence,ts_event,kind,symbol,side,price,size\r\n";
	__builtin_memcpy(out, head, sizeof head - 1);
	return sizeof head - 1;
}

int32_t tw_serialize(int32_t unit, int32_t n)
{
	uint8_t *p = out;
	for (int32_t i = 0; i < n; i++) {
		p = number(p, sequence[i]);
		*p++ = ',';
		p = number(p, ts_event[i]);
		*p++ = ',';
		p = number(p, kind[i]);
		*p++ = ',';
		p = text(p, symbol[i]);
		*p++ = ',';
		if (side[i])
			*p++ = side[i];
		*p++ = ',';
		p = decimal(p, price[i]);
		*p++ = ',';
		p = number(p, size[i]);
		*p++ = '\r';
		*p++ = '\n';
	}
	return (int32_t)(p - out);
}
