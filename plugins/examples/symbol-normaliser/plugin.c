/* Writes symbols one way, whichever way venues do: capital letters, and one dot where there is a space, slash, hyphen, underscore or dot, none at the ends.
 * "brk/b", "BRK B" and " BRK-B " are BRK.B. A symbol of which nothing is left stays as it is. */
#include "tickwire.h"

#define STRIDE 32

TW_TEXTS(symbol, 1024, STRIDE);
TW_LAYOUT(rows, 1024, TW_BOTH(TW_SYMBOL, symbol));
TW_UNITS(&rows)

static int parts(char c)
{
	return c == ' ' || c == '/' || c == '-' || c == '_' || c == '.';
}

static void normalise(char *s)
{
	char out[STRIDE] = {0};
	int len = 0, dot = 0;
	for (int i = 0; i < STRIDE && s[i] != 0; i++) {
		char c = s[i];
		if (parts(c)) {
			dot = len > 0;
			continue;
		}
		if (dot)
			out[len++] = '.';
		dot = 0;
		out[len++] = c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c;
	}
	if (len > 0)
		__builtin_memcpy(s, out, STRIDE);
}

int32_t tw_transform(int32_t unit, int32_t n)
{
	for (int32_t i = 0; i < n; i++)
		normalise(symbol[i]);
	return n;
}
