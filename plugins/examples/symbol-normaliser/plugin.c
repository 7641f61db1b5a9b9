/* Writes symbols one way, whichever way venues do: capital letters, and one dot where there is a space, slash, hyphen, underscore or dot, none at the ends.
 * "brk/b", "BRK B" and " BRK-B " are BRK.B. One of which nothing is left, or that has other bytes than printable
 * ASCII, is none: it is emptied, and the instrument keeps the symbol that it has. */
#include "tickwire.h"

#define STRIDE 72 /* the longest symbol that there is, and a NUL: none is cut */

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
		if (c < '!' || c > '~') {
			__builtin_memset(s, 0, STRIDE);
			return;
		}
		if (dot)
			out[len++] = '.';
		dot = 0;
		out[len++] = c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c;
	}
	__builtin_memcpy(s, out, STRIDE);
}

int32_t tw_transform(int32_t unit, int32_t n)
{
	for (int32_t i = 0; i < n; i++)
		normalise(symbol[i]);
	return n;
}
