/* Prices of treasury futures: points, 32nds and eighths of a 32nd. 110-16+ is 110 + 16.5/32.
 *
 *    text   = ["-"] points "-" two digits of 32nds [eighths]        "110-16", "110-16+", "110-162"
 *    eighth = "+" or a digit: 1 2 3 5 6 7 8 are .125 .25 .375 .5 .625 .75 .875, as they are quoted; + is .5, and 0 nothing
 *
 * As it is written here: + for a half, nothing for 0. Values are prices in 1e-9: an eighth of a 32nd is 3,906,250 of them. */
#include "tickwire.h"

enum { ROWS = 1024, STRIDE = 16, MOST_POINTS = 99999999 };

#define EIGHTH 3906250 /* 1e-9 */

TW_TEXTS(text, ROWS, STRIDE);
TW_COLUMN(int64_t, a, ROWS);
TW_COLUMN(int64_t, b, ROWS);
TW_TEXTS(written, ROWS, STRIDE);
TW_COLUMN(int64_t, result, ROWS);
TW_COLUMN(uint8_t, bad, ROWS);
TW_LAYOUT(call, ROWS, TW_READ(TW_ARG, text), TW_BOTH(TW_ARG + 1, a), TW_READ(TW_ARG + 2, b), TW_WRITE(TW_ARG + 3, written), TW_WRITE(TW_RESULT, result),
          TW_WRITE(TW_RESULT_NULL, bad));
TW_UNITS(&call)

static const char eighths[8] = {0, '1', '2', '3', '+', '6', '7', '8'};

static int digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Reads an eighth; -1: it is none. */
static int eighth(char c)
{
	if (c == 0 || c == '0')
		return 0;
	if (c == '5')
		return 4;
	for (int i = 1; i < 8; i++)
		if (eighths[i] == c)
			return i;
	return -1;
}

/* Reads a price; 0: it is none. */
static int parse(const char *s, int64_t *px)
{
	const char *end = s + STRIDE;
	int negative = *s == '-';
	int64_t points = 0;
	s += negative;
	const char *first = s;
	while (s < end && digit(*s) && points <= MOST_POINTS)
		points = points * 10 + (*s++ - '0');
	if (s == first || points > MOST_POINTS || end - s < 3 || s[0] != '-' || !digit(s[1]) || !digit(s[2]))
		return 0;
	int thirty_seconds = (s[1] - '0') * 10 + (s[2] - '0');
	int rest = end - s > 3 ? eighth(s[3]) : 0;
	if (thirty_seconds > 31 || rest < 0)
		return 0;
	for (s += 4; s < end; s++)
		if (*s != 0)
			return 0;
	*px = ((points * 32 + thirty_seconds) * 8 + rest) * EIGHTH;
	if (negative)
		*px = -*px;
	return 1;
}

/* Writes a price; 0: it is no whole number of eighths, or too large. */
static int format(int64_t px, char *to)
{
	__builtin_memset(to, 0, STRIDE);
	uint64_t v = px < 0 ? 0 - (uint64_t)px : (uint64_t)px, units = v / EIGHTH, points = units / 256;
	char digits[8];
	int n = 0;
	if (v % EIGHTH != 0 || points > MOST_POINTS)
		return 0;
	if (px < 0)
		*to++ = '-';
	do
		digits[n++] = (char)('0' + points % 10);
	while ((points /= 10) != 0);
	while (n > 0)
		*to++ = digits[--n];
	*to++ = '-';
	*to++ = (char)('0' + units / 8 % 32 / 10);
	*to++ = (char)('0' + units / 8 % 32 % 10);
	*to = eighths[units % 8];
	return 1;
}

static uint64_t hash(uint64_t v)
{
	v = (v ^ v >> 33) * 0xff51afd7ed558ccd;
	v = (v ^ v >> 33) * 0xc4ceb9fe1a85ec53;
	return v ^ v >> 33;
}

int32_t tw_type(int32_t unit, int32_t op, int32_t n)
{
	if (op < TW_VALIDATE || op > TW_HASH)
		return -1;
	for (int32_t i = 0; i < n; i++) {
		int64_t px = 0;
		int good = 1;
		switch (op) {
		case TW_VALIDATE:
			result[i] = parse(text[i], &px);
			break;
		case TW_NORMALISE:
			good = parse(text[i], &px);
			format(px, written[i]);
			break;
		case TW_PARSE:
			good = parse(text[i], &a[i]);
			break;
		case TW_FORMAT:
			good = format(a[i], written[i]);
			break;
		case TW_COMPARE:
			result[i] = (a[i] > b[i]) - (a[i] < b[i]);
			break;
		case TW_HASH:
			result[i] = (int64_t)hash((uint64_t)a[i]);
		}
		bad[i] = !good;
	}
	return n;
}
