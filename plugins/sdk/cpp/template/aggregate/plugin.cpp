// price_range(price): the greatest price less the least.
#include "tickwire.hpp"

// Of a group; the host moves it, so it has no addresses in it.
struct state {
	int64_t rows, least, greatest;

	void add(state more)
	{
		if (more.rows == 0)
			return;
		if (rows == 0 || more.least < least)
			least = more.least;
		if (rows == 0 || more.greatest > greatest)
			greatest = more.greatest;
		rows += more.rows;
	}
};

static tickwire::table<state, 1024> states, others;
static tickwire::column<int64_t, 1024> price, result;
static tickwire::column<uint32_t, 1024> group;
static tickwire::column<uint8_t, 1024> null;
static constinit auto call =
	tickwire::layout(1024, price.read(TW_ARG), group.read(TW_GROUP), result.write(TW_RESULT), null.write(TW_RESULT_NULL)).input(others).output(states);
TICKWIRE_UNITS(call)

int32_t tw_agg_start(int32_t unit, int32_t groups)
{
	for (int32_t i = 0; i < groups; i++)
		states[i] = {};
	return groups;
}

int32_t tw_agg_update(int32_t unit, int32_t n, int32_t groups)
{
	for (int32_t i = 0; i < n; i++)
		if (group[i] < uint32_t(groups))
			states[int32_t(group[i])].add({1, price[i], price[i]});
	return n;
}

int32_t tw_agg_merge(int32_t unit, int32_t groups)
{
	for (int32_t i = 0; i < groups; i++)
		states[i].add(others[i]);
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
