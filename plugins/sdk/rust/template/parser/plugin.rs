//! A wire format of trades over UDP, little-endian. A packet is a header and as many messages as it says, none is a heartbeat:
//!
//! ```text
//!    0          8       12       16
//!    | sequence | count | "TRD1" | messages …      sequence of the first message, of a heartbeat the next one's
//!
//!    0            4      8              16                    24
//!    | instrument | size | price, 1e-9  | time, ns since 1970 |
//! ```
#![no_std]
mod tickwire;
use tickwire::*;

const ROWS: usize = 1024;
const PACKET: usize = 65536;
const HEADER: i32 = 16;
const MESSAGE: usize = 24;

static IN: Room<u8, PACKET> = Room::new();
static FRAME: Room<Frame, 1> = Room::filled(Frame::NONE);
static KIND: Column<u8, ROWS> = Column::new();
static SIDE: Column<u8, ROWS> = Column::new();
static INSTRUMENT: Column<u32, ROWS> = Column::new();
static TS_EVENT: Column<u64, ROWS> = Column::new();
static SEQUENCE: Column<u64, ROWS> = Column::new();
static PRICE: Column<i64, ROWS> = Column::new();
static SIZE: Column<u64, ROWS> = Column::new();
static LAYOUT: Layout<7> = Layout::new(
    ROWS as u32,
    [
        KIND.write(column::KIND),
        SIDE.write(column::SIDE),
        INSTRUMENT.write(column::INSTRUMENT_ID),
        TS_EVENT.write(column::TS_EVENT),
        SEQUENCE.write(column::SEQUENCE),
        PRICE.write(column::PRICE),
        SIZE.write(column::SIZE),
    ],
)
.input(&IN)
.output(&FRAME);
units!(LAYOUT);

#[no_mangle]
pub extern "C" fn tw_looks(_unit: i32, len: i32) -> i32 {
    if len >= HEADER && u32_at(IN.rows(HEADER), 12) == u32::from_le_bytes(*b"TRD1") {
        90
    } else {
        0
    }
}

#[no_mangle]
pub extern "C" fn tw_frame(unit: i32, len: i32) -> i32 {
    if tw_looks(unit, len) == 0 {
        return fail("the packet has no header of this format");
    }
    let header = IN.rows(HEADER);
    let count = u32_at(header, 8);
    FRAME.rows(1)[0].set(Frame { sequence: u64_at(header, 0), count, kind: (count == 0) as u32, at: HEADER as u32, ..Frame::NONE });
    0
}

#[no_mangle]
pub extern "C" fn tw_parse(_unit: i32, len: i32, first: i64, count: i32) -> i32 {
    let messages = IN.rows(len);
    if count < 0 || count as usize > ROWS || messages.len() != count as usize * MESSAGE {
        return fail("the packet has not as many messages as its header says");
    }
    let (kind, side, instrument, ts_event) = (KIND.rows(count), SIDE.rows(count), INSTRUMENT.rows(count), TS_EVENT.rows(count));
    let (sequence, price, size) = (SEQUENCE.rows(count), PRICE.rows(count), SIZE.rows(count));
    for (i, m) in messages.chunks_exact(MESSAGE).enumerate() {
        kind[i].set(kind::TRADE);
        side[i].set(b'N');
        instrument[i].set(u32_at(m, 0));
        size[i].set(u32_at(m, 4) as u64);
        price[i].set(u64_at(m, 8) as i64);
        ts_event[i].set(u64_at(m, 16));
        sequence[i].set((first as u64).wrapping_add(i as u64));
    }
    count
}
