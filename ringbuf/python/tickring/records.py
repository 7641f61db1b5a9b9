"""Records: DBN version 3 (Gap is tickwire's). Prices are int in 1e-9, times ns since 1970.

Each record type has a NAME, a struct.Struct and a namedtuple; with numpy there is a structured dtype of each payload
(dtype_of), so that a batch is a table of columns without another copy.
"""

import struct
from collections import namedtuple

UNDEF_PRICE = 2**63 - 1
UNDEF_TIME = 2**64 - 1
UNDEF_SIZE = 2**32 - 1

F_LAST, F_TOB, F_SNAPSHOT, F_MBP, F_BAD_TS_RECV, F_MAYBE_BAD_BOOK, F_PUBLISHER = 0x80, 0x40, 0x20, 0x10, 0x08, 0x04, 0x02

RTYPE_TRADE, RTYPE_MBP1, RTYPE_MBP10 = 0x00, 0x01, 0x0A
RTYPE_STATUS, RTYPE_IMBALANCE, RTYPE_STATISTICS = 0x12, 0x14, 0x18
RTYPE_MBO, RTYPE_CMBP1, RTYPE_GAP, RTYPE_EXT = 0xA0, 0xB1, 0xE0, 0xE1

KIND_MBO, KIND_MBP1, KIND_TRADES, KIND_EVENTS, KIND_EXT, KIND_MBP10, KIND_CBBO = 1, 2, 3, 4, 5, 6, 7

# name, struct code, numpy code: characters stay numbers (ord("A")), as in the record.
_HDR = [("length", "B", "u1"), ("rtype", "B", "u1"), ("publisher_id", "H", "<u2"), ("instrument_id", "I", "<u4"), ("ts_event", "Q", "<u8")]
_TRADE = _HDR + [
    ("price", "q", "<i8"), ("size", "I", "<u4"), ("action", "B", "u1"), ("side", "B", "u1"), ("flags", "B", "u1"), ("depth", "B", "u1"),
    ("ts_recv", "Q", "<u8"), ("ts_in_delta", "i", "<i4"), ("sequence", "I", "<u4"),
]  # fmt: skip
_LEVEL = [("bid_px", "q", "<i8"), ("ask_px", "q", "<i8"), ("bid_sz", "I", "<u4"), ("ask_sz", "I", "<u4"), ("bid_ct", "I", "<u4"), ("ask_ct", "I", "<u4")]
_TAIL = [("ts_publish", "Q", "<u8")]
_QUOTE = [
    ("bid_px", "q", "<i8"), ("ask_px", "q", "<i8"), ("bid_sz", "I", "<u4"), ("ask_sz", "I", "<u4"), ("ts_recv", "Q", "<u8"), ("slot", "Q", "<u8"),
    ("publisher_id", "H", "<u2"), ("state", "B", "u1"), ("reserved", "5s", "V5"),
]  # fmt: skip
_FIELDS = {
    "Mbo": _HDR + [
        ("order_id", "Q", "<u8"), ("price", "q", "<i8"), ("size", "I", "<u4"), ("flags", "B", "u1"), ("channel_id", "B", "u1"), ("action", "B", "u1"),
        ("side", "B", "u1"), ("ts_recv", "Q", "<u8"), ("ts_in_delta", "i", "<i4"), ("sequence", "I", "<u4"),
    ],
    "Trade": _TRADE + [("match_id", "Q", "<u8")],
    "Mbp1": _TRADE + _LEVEL + _TAIL + [("plugin%d" % i, "Q", "<u8") for i in range(4)],
    "Mbp10": _TRADE + [("%s_%d" % (n, i), s, t) for i in range(10) for n, s, t in _LEVEL] + _TAIL,
    "Cbbo": _HDR + [
        ("price", "q", "<i8"), ("size", "I", "<u4"), ("action", "B", "u1"), ("side", "B", "u1"), ("flags", "B", "u1"), ("reserved1", "1s", "V1"),
        ("ts_recv", "Q", "<u8"), ("ts_in_delta", "i", "<i4"), ("reserved2", "4s", "V4"), ("bid_px", "q", "<i8"), ("ask_px", "q", "<i8"),
        ("bid_sz", "I", "<u4"), ("ask_sz", "I", "<u4"), ("bid_pb", "H", "<u2"), ("reserved3", "2s", "V2"), ("ask_pb", "H", "<u2"),
        ("reserved4", "2s", "V2"), ("ts_publish", "Q", "<u8"), ("venues", "B", "u1"), ("live", "B", "u1"), ("stale", "B", "u1"),
        ("reserved5", "5s", "V5"),
    ] + [("%s_%d" % (n, i), s, t) for i in range(8) for n, s, t in _QUOTE],
    "Status": _HDR + [
        ("ts_recv", "Q", "<u8"), ("action", "H", "<u2"), ("reason", "H", "<u2"), ("trading_event", "H", "<u2"), ("is_trading", "B", "u1"),
        ("is_quoting", "B", "u1"), ("is_short_sell_restricted", "B", "u1"),
    ],
    "Gap": _HDR + [
        ("first", "Q", "<u8"), ("last", "Q", "<u8"), ("ts_recv", "Q", "<u8"), ("state", "B", "u1"), ("channel_id", "B", "u1"), ("line", "B", "u1"),
        ("reserved", "5s", "V5"), ("messages", "Q", "<u8"),
    ],
    "Ext": _HDR + [
        ("ref_seq", "Q", "<u8"), ("kind", "B", "u1"), ("ref_ring", "B", "u1"), ("reserved", "2s", "V2"), ("seq32", "I", "<u4"), ("a", "Q", "<u8"),
        ("b", "Q", "<u8"), ("c", "Q", "<u8"),
    ],
    "Header": _HDR,
}  # fmt: skip


def _make(name):
    fields = _FIELDS[name]
    return namedtuple(name, [f[0] for f in fields]), struct.Struct("<" + "".join(f[1] for f in fields))


Mbo, _MBO = _make("Mbo")
Trade, _TRADE_S = _make("Trade")
Mbp1, _MBP1 = _make("Mbp1")
Mbp10, _MBP10 = _make("Mbp10")
Cbbo, _CBBO = _make("Cbbo")
Status, _STATUS = _make("Status")
Gap, _GAP = _make("Gap")
Ext, _EXT = _make("Ext")
Header, _HEADER = _make("Header")

_OF_KIND = {KIND_MBO: (Mbo, _MBO, "Mbo"), KIND_TRADES: (Trade, _TRADE_S, "Trade"), KIND_MBP1: (Mbp1, _MBP1, "Mbp1"), KIND_EXT: (Ext, _EXT, "Ext"),
            KIND_MBP10: (Mbp10, _MBP10, "Mbp10"), KIND_CBBO: (Cbbo, _CBBO, "Cbbo"), KIND_EVENTS: (Header, _HEADER, "Header")}  # fmt: skip
_OF_RTYPE = {RTYPE_STATUS: (Status, _STATUS), RTYPE_GAP: (Gap, _GAP)}
_SLOT_BYTES = {KIND_MBO: 64, KIND_MBP1: 128, KIND_TRADES: 64, KIND_EVENTS: 128, KIND_EXT: 64, KIND_MBP10: 512, KIND_CBBO: 512}


def unpack(kind, payload, offset=0):
    """One record of a ring of that kind as a namedtuple, by its rtype: in an mbo ring Mbo, Status or Gap; in an events ring Status, Gap, or
    the Header of what has no type here."""
    if kind in (KIND_MBO, KIND_EVENTS):
        other = _OF_RTYPE.get(payload[offset + 1])
        if other:
            return other[0]._make(other[1].unpack_from(payload, offset))
    make, code, _ = _OF_KIND[kind]
    return make._make(code.unpack_from(payload, offset))


def dtype_of(kind, name=None):
    """The structured numpy dtype of a ring's payload. name takes another record's view of it: dtype_of(KIND_EVENTS, "Status"). ImportError
    without numpy, ValueError when the record is longer than the payload."""
    import numpy

    fields = _FIELDS[name or _OF_KIND[kind][2]]
    offsets, at = [], 0
    for f in fields:
        offsets.append(at)
        at += struct.calcsize("<" + f[1])
    payload = _SLOT_BYTES[kind] - 8
    return numpy.dtype({"names": [f[0] for f in fields], "formats": [f[2] for f in fields], "offsets": offsets, "itemsize": payload})
