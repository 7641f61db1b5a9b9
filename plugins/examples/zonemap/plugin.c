/* The least and the greatest value of each 64 rows: a range that is looked for needs only the zones that may hold some of it. Good for what comes in order
 * (times, sequences), of no use for what does not: that is what it advises by. */
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

enum { USE, LEAVE }; /* strategies */

static struct zone zone_of(int32_t from, int32_t behind)
{
	struct zone z = {values[from], values[from]};
	for (int32_t i = from + 1; i < behind; i++) {
		z.least = values[i] < z.least ? values[i] : z.least;
		z.greatest = values[i] > z.greatest ? values[i] : z.greatest;
	}
	return z;
}

static int32_t end_of(int32_t zone, int32_t rows)
{
	return (zone + 1) * ZONE < rows ? (zone + 1) * ZONE : rows;
}

static int32_t zones_of(uint64_t rows)
{
	return (int32_t)((rows + ZONE - 1) / ZONE);
}

int32_t tw_index_build(int32_t unit, int32_t n)
{
	out.rows = (uint64_t)n;
	for (int32_t z = 0; z < zones_of(out.rows); z++)
		out.zone[z] = zone_of(z * ZONE, end_of(z, n));
	return (int32_t)(sizeof out.rows + (uint32_t)zones_of(out.rows) * sizeof *out.zone);
}

int32_t tw_index_probe(int32_t unit, int32_t len)
{
	int32_t ranges = 0;
	if (len < (int32_t)sizeof in.rows || in.rows > ROWS || (uint32_t)len != sizeof in.rows + (uint32_t)zones_of(in.rows) * sizeof *in.zone)
		return -1;
	for (int32_t z = 0; z < zones_of(in.rows); z++) {
		if (in.zone[z].greatest < least[0] || in.zone[z].least > greatest[0])
			continue;
		if (ranges > 0 && behind[ranges - 1] == (uint32_t)(z * ZONE)) {
			behind[ranges - 1] = (uint32_t)end_of(z, (int32_t)in.rows);
			continue;
		}
		from[ranges] = (uint32_t)(z * ZONE);
		behind[ranges++] = (uint32_t)end_of(z, (int32_t)in.rows);
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
	if (n <= ZONE)
		return LEAVE;
	for (int32_t z = 0; z < zones_of((uint64_t)n); z++)
		widths += width(zone_of(z * ZONE, end_of(z, n)));
	return widths / zones_of((uint64_t)n) < width(zone_of(0, n)) / 4 ? USE : LEAVE;
}
