// Writes symbols one way, whichever way venues do: capital letters, and one dot where there is a space, slash, hyphen, underscore or dot, none at the ends.
// "brk/b", "BRK B" and " BRK-B " are BRK.B. One of which nothing is left, or that has
// other bytes than printable ASCII, is none: it is emptied, and the instrument keeps the symbol that it has.
#include "tickwire.hpp"

using text = char[72]; // the longest symbol that there is, and a NUL: none is cut

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
		if (c < '!' || c > '~') {
			__builtin_memset(s, 0, sizeof s);
			return;
		}
		if (dot)
			out[len++] = '.';
		dot = false;
		out[len++] = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
	}
	__builtin_memcpy(s, out, sizeof out);
}

int32_t tw_transform(int32_t unit, int32_t n)
{
	for (text &s : symbol.rows(n))
		normalise(s);
	return n;
}
