/* vwap(price, size): Σ price × size ÷ Σ size, rounded towards zero. The sum has 128 bits, so it is the same in whatever order and in however many parts it is made.
 * NULL without a size above 0; rows whose size is not above 0 are left out. */
#include "tickwire.h"

enum { ROWS = 1024, GROUPS = ROWS };

struct state {
	uint64_t low, high; /* Σ price × size, two's complement */
	uint64_t volume;
};

static struct state states[GROUPS] __attribute__((aligned(64)));
static struct state others[GROUPS] __attribute__((aligned(64)));

TW_COLUMN(int64_t, price, ROWS);
TW_COLUMN(int64_t, size, ROWS);
TW_COLUMN(uint32_t, group, ROWS);
TW_COLUMN(int64_t, result, ROWS);
TW_COLUMN(uint8_t, null, ROWS);
TW_LAYOUT_IO(call, ROWS, others, sizeof others, states, sizeof states, TW_READ(TW_ARG, price), TW_READ(TW_ARG + 1, size), TW_READ(TW_GROUP, group),
             TW_WRITE(TW_RESULT, result), TW_WRITE(TW_RESULT_NULL, null));
TW_UNITS(&call)

static void add(struct state *s, uint64_t high, uint64_t low)
{
	s->low += low;
	s->high += high + (s->low < low);
}

/* The product of two numbers below 2^63. */
static void add_product(struct state *s, uint64_t a, uint64_t b, int negative)
{
	uint64_t a0 = (uint32_t)a, a1 = a >> 32, b0 = (uint32_t)b, b1 = b >> 32;
	uint64_t middle = a1 * b0 + (a0 * b0 >> 32), cross = a0 * b1 + (uint32_t)middle;
	uint64_t high = a1 * b1 + (middle >> 32) + (cross >> 32), low = a * b;
	if (negative) {
		low = 0 - low;
		high = ~high + (low == 0);
	}
	add(s, high, low);
}

int32_t tw_agg_start(int32_t unit, int32_t groups)
{
	__builtin_memset(states, 0, (uint32_t)groups * sizeof *states);
	return groups;
}

int32_t tw_agg_update(int32_t unit, int32_t n, int32_t groups)
{
	for (int32_t i = 0; i < n; i++) {
		if (size[i] <= 0 || group[i] >= (uint32_t)groups)
			continue;
		struct state *s = &states[group[i]];
		int negative = price[i] < 0;
		add_product(s, negative ? 0 - (uint64_t)price[i] : (uint64_t)price[i], (uint64_t)size[i], negative);
		s->volume += (uint64_t)size[i];
	}
	return n;
}

int32_t tw_agg_merge(int32_t unit, int32_t groups)
{
	for (int32_t i = 0; i < groups; i++) {
		add(&states[i], others[i].high, others[i].low);
		states[i].volume += others[i].volume;
	}
	return groups;
}

/* The quotient fits 64 bits, for an average is no larger than what it is made of. */
static uint64_t divide(uint64_t high, uint64_t low, uint64_t by)
{
	uint64_t quotient = 0;
	for (int bit = 63; bit >= 0; bit--) {
		int carry = high >> 63;
		high = high << 1 | low >> 63;
		low <<= 1;
		quotient <<= 1;
		if (carry || high >= by) {
			high -= by;
			quotient |= 1;
		}
	}
	return quotient;
}

int32_t tw_agg_result(int32_t unit, int32_t groups)
{
	for (int32_t i = 0; i < groups; i++) {
		struct state s = states[i];
		int negative = s.high >> 63;
		null[i] = s.volume == 0;
		result[i] = 0;
		if (s.volume == 0)
			continue;
		if (negative) {
			s.low = 0 - s.low;
			s.high = ~s.high + (s.low == 0);
		}
		uint64_t average = divide(s.high, s.low, s.volume);
		result[i] = (int64_t)(negative ? 0 - average : average);
	}
	return groups;
}
