/* Flags (or refuses) orders and trades whose price is further than band_bp basis points from the instrument's last trade. The trade itself is the last one from
 * then on, so the band follows the market whatever was said of it. Before an instrument's first trade there is nothing to go by. */
#include "tickwire.h"

TW_COLUMN(uint8_t, kind, 1024);
TW_COLUMN(uint32_t, instrument, 1024);
TW_COLUMN(int64_t, price, 1024);
TW_COLUMN(uint8_t, row_ctl, 1024);
TW_COLUMN(uint8_t, reason, 1024);
TW_LAYOUT(rows, 1024, TW_READ(TW_KIND, kind), TW_READ(TW_INSTRUMENT_ID, instrument), TW_READ(TW_PRICE, price), TW_WRITE(TW_ROW_CTL, row_ctl),
          TW_WRITE(TW_REASON, reason));
TW_UNITS(&rows)

/* Last trades: an open hash of instruments, 0 is a free slot. One that finds no slot within PROBES is not judged, and counted. */
enum { SLOT_BITS = 14, SLOTS = 1 << SLOT_BITS, PROBES = 16 };

static struct {
	uint32_t instrument[SLOTS];
	int64_t price[SLOTS];
} last;

TW_ROOM(sizeof last)

enum { OUTSIDE };

static int64_t band_bp = 500;
static uint8_t verdict = TW_FLAG;

int32_t tw_init(const char *params, int32_t len)
{
	band_bp = tw_param_i64(params, len, "band_bp", 500);
	verdict = tw_param_bool(params, len, "refuse") ? TW_REFUSE : TW_FLAG;
	return 0;
}

static int64_t *last_of(uint32_t id)
{
	uint32_t at = id * 2654435761u >> (32 - SLOT_BITS);
	for (int i = 0; i < PROBES; i++, at = (at + 1) % SLOTS) {
		if (last.instrument[at] == 0)
			last.instrument[at] = id;
		if (last.instrument[at] == id)
			return &last.price[at];
	}
	return NULL;
}

static int is_trade(uint8_t k)
{
	return k == TW_KIND_EXEC || k == TW_KIND_EXEC_AT || k == TW_KIND_TRADE;
}

static int is_order(uint8_t k)
{
	return k == TW_KIND_ADD || k == TW_KIND_REPLACE || k == TW_KIND_MODIFY;
}

static int outside(int64_t px, int64_t ref)
{
	uint64_t apart = px > ref ? (uint64_t)px - (uint64_t)ref : (uint64_t)ref - (uint64_t)px;
	return ref > 0 && apart > (uint64_t)(ref / 10000 * band_bp);
}

int32_t tw_validate(int32_t unit, int32_t n)
{
	static const char untracked[] = "untracked";
	int32_t not_kept = 0;
	for (int32_t i = 0; i < n; i++) {
		int64_t px = price[i];
		if (instrument[i] == 0 || px == TW_UNDEF_PRICE || (!is_trade(kind[i]) && !is_order(kind[i])))
			continue;
		int64_t *ref = last_of(instrument[i]);
		if (!ref) {
			tw_metric(untracked, sizeof untracked - 1, 1);
			continue;
		}
		if (outside(px, *ref)) {
			row_ctl[i] = verdict;
			reason[i] = OUTSIDE;
			not_kept++;
		}
		if (is_trade(kind[i]))
			*ref = px;
	}
	return not_kept;
}

/* The last trades live on over a reload. */
int64_t tw_save(void)
{
	return tw_bytes(&last, sizeof last);
}

int32_t tw_restore(const void *state, int32_t len)
{
	if (len != sizeof last)
		return -1;
	__builtin_memcpy(&last, state, sizeof last);
	return 0;
}
