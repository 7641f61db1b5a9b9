// Whole numbers as differences: each from the one before it (the first from 0), zigzag so that small negative ones are small too, as varints of 7 bits a byte, low
// ones first. Times and prices of neighbours become one to three bytes.
#include "tickwire.hpp"

enum { ROWS = 4096, MOST_BYTES = 10 };

static tickwire::room<ROWS * MOST_BYTES> in, out;
static tickwire::column<int64_t, ROWS> values, decoded;
static constinit auto block = tickwire::layout(ROWS, values.read(TW_ARG), decoded.write(TW_RESULT)).input(in).output(out);
TICKWIRE_UNITS(block)
TW_ERRORS

int32_t tw_encode(int32_t unit, int32_t n)
{
	uint8_t *p = out.row;
	uint64_t before = 0;
	for (int64_t value : values.rows(n)) {
		uint64_t difference = uint64_t(value) - before, v = difference << 1 ^ (0 - (difference >> 63));
		before = uint64_t(value);
		for (; v >= 0x80; v >>= 7)
			*p++ = uint8_t(v | 0x80);
		*p++ = uint8_t(v);
	}
	return int32_t(p - out.row);
}

int32_t tw_decode(int32_t unit, int32_t len)
{
	uint64_t value = 0;
	int32_t n = 0;
	for (int32_t at = 0; at < len;) {
		uint64_t v = 0;
		uint8_t b = 0x80;
		for (int shift = 0; b & 0x80; shift += 7) {
			if (at == len)
				return TW_FAIL("a number is cut off");
			b = in[at++];
			if (shift == 63 && b > 1)
				return TW_FAIL("a number has more than 64 bits");
			v |= uint64_t(b & 0x7f) << shift;
		}
		if (n == ROWS)
			return TW_FAIL("more numbers than a block has");
		value += v >> 1 ^ (0 - (v & 1));
		decoded[n++] = int64_t(value);
	}
	return n;
}
