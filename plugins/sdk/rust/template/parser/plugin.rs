//! A wire format of one message a packet, a trade, little-endian:
//!
//! ```text
//!    0              4        8               16                       24
//!    | instrument   | size   | price, 1e-9   | time, ns since 1970    |
//! ```
#![no_std]
mod tickwire;
use tickwire::*;

const ROWS: usize = 1024;

static IN: Room<u8, 65536> = Room::new();
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
.input(&IN);
units!(LAYOUT);

fn u32_at(at: usize) -> u32 {
    let b = IN.rows(65536);
    u32::from_le_bytes([b[at].get(), b[at + 1].get(), b[at + 2].get(), b[at + 3].get()])
}

fn u64_at(at: usize) -> u64 {
    (u32_at(at + 4) as u64) << 32 | u32_at(at) as u64
}

#[no_mangle]
pub extern "C" fn tw_parse(_unit: i32, len: i32, first: i64, _count: i32) -> i32 {
    if len != 24 {
        return -1;
    }
    KIND.rows(1)[0].set(kind::TRADE);
    SIDE.rows(1)[0].set(b'N');
    INSTRUMENT.rows(1)[0].set(u32_at(0));
    TS_EVENT.rows(1)[0].set(u64_at(16));
    SEQUENCE.rows(1)[0].set(first as u64);
    PRICE.rows(1)[0].set(u64_at(8) as i64);
    SIZE.rows(1)[0].set(u32_at(4) as u64);
    1
}
