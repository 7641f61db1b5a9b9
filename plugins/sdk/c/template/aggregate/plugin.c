/* price_range(price): the greatest price less the least. */
#include "tickwire.h"

enum { ROWS = 1024 };

/* Of a group; the host moves it, so it has no addresses in it. */
struct state {
	int64_t rows, least, greatest;
};

static struct state states[ROWS] __attribute__((aligned(64)));
static struct state others[ROWS] __attribute__((aligned(64)));

TW_COLUMN(int64_t, price, ROWS);
TW_COLUMN(uint32_t, group, ROWS);
TW_COLUMN(int64_t, result, ROWS);
TW_COLUMN(uint8_t, null, ROWS);
TW_LAYOUT_IO(call, ROWS, others, sizeof others, states, sizeof states, TW_READ(TW_ARG, price), TW_READ(TW_GROUP, group), TW_WRITE(TW_RESULT, result),
             TW_WRITE(TW_RESULT_NULL, null));
TW_UNITS(&call)

static void add(struct state *s, struct state more)
{
	if (more.rows == 0)
		return;
	if (s->rows == 0 || more.least < s->least)
		s->least = more.least;
	if (s->rows == 0 || more.greatest > s->greatest)
		s->greatest = more.greatest;
	s->rows += more.rows;
}

int32_t tw_agg_start(int32_t unit, int32_t groups)
{
	__builtin_memset(states, 0, (uint32_t)groups * sizeof *states);
	return groups;
}

int32_t tw_agg_update(int32_t unit, int32_t n, int32_t groups)
{
	for (int32_t i = 0; i < n; i++)
		if (group[i] < (uint32_t)groups)
			add(&states[group[i]], (struct state){1, price[i], price[i]});
	return n;
}

int32_t tw_agg_merge(int32_t unit, int32_t groups)
{
	for (int32_t i = 0; i < groups; i++)
		add(&states[i], others[i]);
	return groups;
}

int32_t tw_agg_result(int32_t unit, int32_t groups)
{
	for (int32_t i = 0; i < groups; i++) {
		null[i] = states[i].rows == 0;
		result[i] = states[i].greatest - states[i].least;
	}
	return groups;
}
