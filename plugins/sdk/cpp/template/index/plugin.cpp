// The least and the greatest value of each 64 rows: a range that is looked for needs only the zones that may hold some of it. Good for what comes in order
// (times, sequences), of no use for what does not: that is what it advises by.
//
//    0        8                   16 × zones + 8
//    | rows   | least, greatest … |                  i64 each, little-endian
#include "tickwire.hpp"

enum { ROWS = 4096, ZONE = 64, ZONES = ROWS / ZONE };

struct zone {
	int64_t least, greatest;

	double width() const { return double(greatest) - double(least); }
};

struct zones {
	uint64_t rows;
	zone of[ZONES];
};

static tickwire::table<zones, 1> in, out;
static tickwire::column<int64_t, ROWS> values, least, greatest;
static tickwire::column<uint32_t, ROWS> from, behind;
static constinit auto block =
	tickwire::layout(ROWS, values.read(TW_ARG), least.read(TW_ARG + 1), greatest.read(TW_ARG + 2), from.write(TW_ARG + 3), behind.write(TW_ARG + 4))
		.input(in)
		.output(out);
TICKWIRE_UNITS(block)
TW_ERRORS

enum { USE, LEAVE }; // strategies

static int32_t zones_of(uint64_t rows) { return int32_t((rows + ZONE - 1) / ZONE); }

static int32_t end_of(int32_t z, int32_t rows) { return (z + 1) * ZONE < rows ? (z + 1) * ZONE : rows; }

static uint32_t bytes_of(uint64_t rows) { return uint32_t(sizeof(uint64_t) + uint32_t(zones_of(rows)) * sizeof(zone)); }

static zone zone_of(int32_t first, int32_t end)
{
	zone z = {values[first], values[first]};
	for (int32_t i = first + 1; i < end; i++) {
		z.least = values[i] < z.least ? values[i] : z.least;
		z.greatest = values[i] > z.greatest ? values[i] : z.greatest;
	}
	return z;
}

int32_t tw_index_build(int32_t unit, int32_t n)
{
	out[0].rows = uint64_t(n);
	for (int32_t z = 0; z < zones_of(uint64_t(n)); z++)
		out[0].of[z] = zone_of(z * ZONE, end_of(z, n));
	return int32_t(bytes_of(uint64_t(n)));
}

int32_t tw_index_probe(int32_t unit, int32_t len)
{
	int32_t ranges = 0;
	const zones &index = in[0];
	if (len < int32_t(sizeof index.rows) || index.rows > ROWS || uint32_t(len) != bytes_of(index.rows))
		return TW_FAIL("these are no bytes of an index");
	for (int32_t z = 0; z < zones_of(index.rows); z++) {
		if (index.of[z].greatest < least[0] || index.of[z].least > greatest[0])
			continue;
		if (ranges == 0 || behind[ranges - 1] != uint32_t(z * ZONE))
			from[ranges++] = uint32_t(z * ZONE);
		behind[ranges - 1] = uint32_t(end_of(z, int32_t(index.rows)));
	}
	return ranges;
}

// Of use where a zone covers less than a quarter of the values' range on average.
int32_t tw_index_advise(int32_t unit, int32_t n)
{
	double widths = 0;
	int32_t zones = zones_of(uint64_t(n));
	if (n <= ZONE)
		return LEAVE;
	for (int32_t z = 0; z < zones; z++)
		widths += zone_of(z * ZONE, end_of(z, n)).width();
	return widths / zones < zone_of(0, n).width() / 4 ? USE : LEAVE;
}
