// A wire format of trades over UDP, little-endian. A packet is a header and as many messages as it says, none is a heartbeat:
//
//    0          8       12       16
//    | sequence | count | "TRD1" | messages …      sequence of the first message, of a heartbeat the next one's
//
//    0            4      8              16                    24
//    | instrument | size | price, 1e-9  | time, ns since 1970 |
#include "tickwire.hpp"

enum { ROWS = 1024 };

static constexpr uint32_t magic = 0x31445254;

struct header {
	uint64_t sequence;
	uint32_t count, magic;
};

struct message {
	uint32_t instrument, size;
	int64_t price;
	uint64_t time;
};

static tickwire::room<64 << 10> in;
static tickwire::table<struct tw_frame, 1> frame;
static tickwire::column<uint8_t, ROWS> kind, side;
static tickwire::column<uint32_t, ROWS> instrument;
static tickwire::column<uint64_t, ROWS> ts_event, sequence, size;
static tickwire::column<int64_t, ROWS> price;
static constinit auto rows = tickwire::layout(ROWS, kind.write(TW_KIND), side.write(TW_SIDE), instrument.write(TW_INSTRUMENT_ID), ts_event.write(TW_TS_EVENT),
                                              sequence.write(TW_SEQUENCE), price.write(TW_PRICE), size.write(TW_SIZE))
                                 .input(in)
                                 .output(frame);
TICKWIRE_UNITS(rows)
TW_ERRORS

// What lies in bytes in.
template <class T> static T at(size_t from)
{
	T v;
	__builtin_memcpy(&v, in.row + from, sizeof v);
	return v;
}

int32_t tw_looks(int32_t unit, int32_t len) { return size_t(len) >= sizeof(header) && at<header>(0).magic == magic ? 90 : 0; }

int32_t tw_frame(int32_t unit, int32_t len)
{
	if (!tw_looks(unit, len))
		return TW_FAIL("the packet has no header of this format");
	auto h = at<header>(0);
	frame[0].sequence = h.sequence;
	frame[0].count = h.count;
	frame[0].kind = h.count == 0;
	frame[0].at = sizeof h;
	return 0;
}

int32_t tw_parse(int32_t unit, int32_t len, int64_t first, int32_t count)
{
	if (count < 0 || count > ROWS || size_t(len) != size_t(count) * sizeof(message))
		return TW_FAIL("the packet has not as many messages as its header says");
	for (int32_t i = 0; i < count; i++) {
		auto m = at<message>(size_t(i) * sizeof(message));
		kind[i] = TW_KIND_TRADE;
		side[i] = 'N';
		instrument[i] = m.instrument;
		ts_event[i] = m.time;
		sequence[i] = uint64_t(first) + uint64_t(i);
		price[i] = m.price;
		size[i] = m.size;
	}
	return count;
}
