/* The least and the greatest value of each 64 rows: a range that is looked for needs only the zones that may hold some of it. Good for what comes in order
 * (times, sequences), of no use for what does not: that is what it advises by.
 *
 *    0        8                   16 × zones + 8
 *    | rows   | least, greatest … |                  i64 each, little-endian
 */
#include "tickwire.h"

enum { ROWS = 4096, ZONE = 64, ZONES = ROWS / ZONE };

struct zone {
	int64_t least, greatest;
};

struct index {
	uint64_t rows;
	struct zone zone[ZONES];
};

static struct index in __attribute__((aligned(64)));
static struct index out __attribute__((aligned(64)));

TW_COLUMN(int64_t, values, ROWS);
TW_COLUMN(int64_t, least, ROWS);
TW_COLUMN(int64_t, greatest, ROWS);
TW_COLUMN(uint32_t, from, ROWS);
TW_COLUMN(uint32_t, behind, ROWS);
TW_LAYOUT_IO(block, ROWS, &in, sizeof in, &out, sizeof out, TW_READ(TW_ARG, values), TW_READ(TW_ARG + 1, least), TW_READ(TW_ARG + 2, greatest),
             TW_WRITE(TW_ARG + 3, from), TW_WRITE(TW_ARG + 4, behind));
TW_UNITS(&block)
TW_ERRORS

enum { USE, LEAVE }; /* strategies */

static int32_t zones_of(uint64_t rows)
{
	return (int32_t)((rows + ZONE - 1) / ZONE);
}

static int32_t end_of(int32_t zone, int32_t rows)
{
	return (zone + 1) * ZONE < rows ? (zone + 1) * ZONE : rows;
}

static struct zone zone_of(int32_t first, int32_t end)
{
	struct zone z = {values[first], values[first]};
	for (int32_t i = first + 1; i < end; i++) {
		z.least = values[i] < z.least ? values[i] : z.least;
		z.greatest = values[i] > z.greatest ? values[i] : z.greatest;
	}
	return z;
}

int32_t tw_index_build(int32_t unit, int32_t n)
{
	int32_t zones = zones_of((uint64_t)n);
	out.rows = (uint64_t)n;
	for (int32_t z = 0; z < zones; z++)
		out.zone[z] = zone_of(z * ZONE, end_of(z, n));
	return (int32_t)(sizeof out.rows + (uint32_t)zones * sizeof *out.zone);
}

int32_t tw_index_probe(int32_t unit, int32_t len)
{
	int32_t ranges = 0;
	if (len < (int32_t)sizeof in.rows || in.rows > ROWS || (uint32_t)len != sizeof in.rows + (uint32_t)zones_of(in.rows) * sizeof *in.zone)
		return TW_FAIL("these are no bytes of an index");
	for (int32_t z = 0, rows = (int32_t)in.rows; z < zones_of(in.rows); z++) {
		if (in.zone[z].greatest < least[0] || in.zone[z].least > greatest[0])
			continue;
		if (ranges == 0 || behind[ranges - 1] != (uint32_t)(z * ZONE))
			from[ranges++] = (uint32_t)(z * ZONE);
		behind[ranges - 1] = (uint32_t)end_of(z, rows);
	}
	return ranges;
}

static double width(struct zone z)
{
	return (double)z.greatest - (double)z.least;
}

/* Of use where a zone covers less than a quarter of the values' range on average. */
int32_t tw_index_advise(int32_t unit, int32_t n)
{
	double widths = 0;
	int32_t zones = zones_of((uint64_t)n);
	if (n <= ZONE)
		return LEAVE;
	for (int32_t z = 0; z < zones; z++)
		widths += width(zone_of(z * ZONE, end_of(z, n)));
	return widths / zones < width(zone_of(0, n)) / 4 ? USE : LEAVE;
}
