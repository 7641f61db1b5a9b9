// Writes symbols one way, whichever way venues do: capital letters, and one dot where there is a space, slash, hyphen, underscore or dot, none at the ends.
// "brk/b", "BRK B" and " BRK-B " are BRK.B. A symbol of which nothing is left stays as it is.
#include "tickwire.hpp"

using text = char[32];

static tickwire::column<text, 1024> symbol;
static constinit tickwire::layout rows(1024, symbol.both(TW_SYMBOL));
TICKWIRE_UNITS(rows)

static bool parts(char c)
{
	return c == ' ' || c == '/' || c == '-' || c == '_' || c == '.';
}

static void normalise(text &s)
{
	text out = {};
	int len = 0;
	bool dot = false;
	for (char c : s) {
		if (c == 0)
			break;
		if (parts(c)) {
			dot = len > 0;
			continue;
		}
		if (dot)
			out[len++] = '.';
		dot = false;
		out[len++] = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
	}
	if (len > 0)
		__builtin_memcpy(s, out, sizeof out);
}

int32_t tw_transform(int32_t unit, int32_t n)
{
	for (text &s : symbol.rows(n))
		normalise(s);
	return n;
}
