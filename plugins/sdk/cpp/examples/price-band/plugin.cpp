// Flags (or refuses) orders and trades whose price is further than band_bp basis points from the instrument's last trade. The trade itself is the last one from
// then on, so the band follows the market whatever was said of it. Before an instrument's first trade there is nothing to go by.
#include "tickwire.hpp"

static tickwire::column<uint8_t, 1024> kind, row_ctl, reason;
static tickwire::column<uint32_t, 1024> instrument;
static tickwire::column<int64_t, 1024> price;
static constinit tickwire::layout rows(1024, kind.read(TW_KIND), instrument.read(TW_INSTRUMENT_ID), price.read(TW_PRICE), row_ctl.write(TW_ROW_CTL),
                                       reason.write(TW_REASON));
TICKWIRE_UNITS(rows)
TICKWIRE_ROOM(1024)

enum { OUTSIDE };

static int64_t band_bp = 500;
static uint8_t verdict = TW_FLAG;

// Last trades: an open hash of instruments, 0 is a free slot. One that finds no slot within `probes` is not judged, and counted.
class last_trades {
	static constexpr uint32_t bits = 14, slots = 1 << bits, probes = 16;

	uint32_t instrument[slots];
	int64_t price[slots];

  public:
	int64_t *of(uint32_t id)
	{
		uint32_t at = id * 2654435761u >> (32 - bits);
		for (uint32_t i = 0; i < probes; i++, at = (at + 1) % slots) {
			if (instrument[at] == 0)
				instrument[at] = id;
			if (instrument[at] == id)
				return &price[at];
		}
		return nullptr;
	}
};

static last_trades last;

int32_t tw_init(const char *text, int32_t len)
{
	tickwire::params params{text, len};
	band_bp = params.i64("band_bp", 500);
	verdict = params.boolean("refuse") ? TW_REFUSE : TW_FLAG;
	return 0;
}

static bool is_trade(uint8_t k)
{
	return k == TW_KIND_EXEC || k == TW_KIND_EXEC_AT || k == TW_KIND_TRADE;
}

static bool is_order(uint8_t k)
{
	return k == TW_KIND_ADD || k == TW_KIND_REPLACE || k == TW_KIND_MODIFY;
}

static bool outside(int64_t px, int64_t ref)
{
	uint64_t a = static_cast<uint64_t>(px), b = static_cast<uint64_t>(ref);
	return ref > 0 && (px > ref ? a - b : b - a) > static_cast<uint64_t>(ref / 10000 * band_bp);
}

int32_t tw_validate(int32_t unit, int32_t n)
{
	int32_t not_kept = 0;
	for (int32_t i = 0; i < n; i++) {
		int64_t px = price[i];
		if (instrument[i] == 0 || px == TW_UNDEF_PRICE || (!is_trade(kind[i]) && !is_order(kind[i])))
			continue;
		int64_t *ref = last.of(instrument[i]);
		if (!ref) {
			tickwire::metric("untracked");
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
