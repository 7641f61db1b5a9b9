/* ISINs, which name securities: a country's two letters, nine letters or digits, and a check digit. US0378331005 is one. In small letters, and with spaces and -
 * within, as people write them, they are read too; written they are as they are normal. */
#include "tickwire.h"

enum { ROWS = 1024, STRIDE = 32, ISIN = 12 };

TW_TEXTS(text, ROWS, STRIDE);
TW_TEXTS(a, ROWS, STRIDE);
TW_TEXTS(b, ROWS, STRIDE);
TW_TEXTS(written, ROWS, STRIDE);
TW_COLUMN(int64_t, result, ROWS);
TW_COLUMN(uint8_t, bad, ROWS);
TW_LAYOUT(call, ROWS, TW_READ(TW_ARG, text), TW_BOTH(TW_ARG + 1, a), TW_READ(TW_ARG + 2, b), TW_WRITE(TW_ARG + 3, written), TW_WRITE(TW_RESULT, result),
          TW_WRITE(TW_RESULT_NULL, bad));
TW_UNITS(&call)

static int digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Letters are numbers of two digits, A is 10. From the right each second digit counts twice; the digits of all that add up to a multiple of ten. */
static int checked(const char *isin)
{
	int sum = 0, twice = 0;
	for (int i = ISIN - 1; i >= 0; i--) {
		int v = digit(isin[i]) ? isin[i] - '0' : isin[i] - 'A' + 10;
		do {
			int d = v % 10 << twice;
			sum += d / 10 + d % 10;
			twice ^= 1;
		} while ((v /= 10) != 0);
	}
	return sum % 10 == 0;
}

/* Reads an ISIN; 0: it is none, and to is empty. */
static int read(const char *s, char *to)
{
	int n = 0;
	__builtin_memset(to, 0, STRIDE);
	for (int i = 0; i < STRIDE && s[i]; i++) {
		char c = s[i] >= 'a' && s[i] <= 'z' ? (char)(s[i] - 'a' + 'A') : s[i];
		if (c == ' ' || c == '-')
			continue;
		if (n < ISIN && ((c >= 'A' && c <= 'Z') || (n >= 2 && digit(c))))
			to[n++] = c;
		else
			n = ISIN + 1; /* no room for more: it is none */
	}
	if (n == ISIN && digit(to[ISIN - 1]) && checked(to))
		return 1;
	__builtin_memset(to, 0, STRIDE);
	return 0;
}

static int compare(const char *x, const char *y)
{
	for (int i = 0; i < ISIN; i++)
		if (x[i] != y[i])
			return x[i] < y[i] ? -1 : 1;
	return 0;
}

static int64_t hash(const char *s)
{
	uint64_t h = 14695981039346656037u; /* FNV-1a */
	for (int i = 0; i < ISIN; i++)
		h = (h ^ (uint8_t)s[i]) * 1099511628211u;
	return (int64_t)h;
}

int32_t tw_type(int32_t unit, int32_t op, int32_t n)
{
	if (op < TW_VALIDATE || op > TW_HASH)
		return -1;
	for (int32_t i = 0; i < n; i++) {
		char normal[STRIDE];
		switch (op) {
		case TW_VALIDATE:
			result[i] = read(text[i], normal);
			break;
		case TW_NORMALISE:
			bad[i] = !read(text[i], written[i]);
			break;
		case TW_PARSE:
			bad[i] = !read(text[i], a[i]);
			break;
		case TW_FORMAT:
			bad[i] = !read(a[i], written[i]);
			break;
		case TW_COMPARE:
			result[i] = compare(a[i], b[i]);
			break;
		case TW_HASH:
			result[i] = hash(a[i]);
		}
	}
	return n;
}
