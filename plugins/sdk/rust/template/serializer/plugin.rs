//! Rows as JSON, an object a line:
//!
//! ```text
//! {"ts":1700000000000000000,"symbol":"AAPL","side":"B","price":100.500000000,"size":300}
//! ```
//!
//! No price is null. In texts what is no plain ASCII is written as \u00.., byte by byte, so a line is JSON whatever a symbol holds.
#![no_std]
mod tickwire;
use tickwire::*;

const ROWS: usize = 1024;
const STRIDE: usize = 72; // the longest symbol that there is, and a NUL: none is cut
const MOST_LINE: usize = 560; // bytes: 20, 432, 6, 21 and 20 for the values, 47 around them

static OUT: Room<u8, { ROWS * MOST_LINE }> = Room::new();
static TS_EVENT: Column<u64, ROWS> = Column::new();
static SYMBOL: Column<[u8; STRIDE], ROWS> = Column::new();
static SIDE: Column<u8, ROWS> = Column::new();
static PRICE: Column<i64, ROWS> = Column::new();
static SIZE: Column<u64, ROWS> = Column::new();
static LAYOUT: Layout<5> = Layout::new(
    ROWS as u32,
    [TS_EVENT.read(column::TS_EVENT), SYMBOL.read(column::SYMBOL), SIDE.read(column::SIDE), PRICE.read(column::PRICE), SIZE.read(column::SIZE)],
)
.output(&OUT);
units!(LAYOUT);

fn character(to: &mut Writer, c: u8) {
    if (b' '..0x7f).contains(&c) && c != b'"' && c != b'\\' {
        return to.byte(c);
    }
    to.text("\\u00");
    for half in [c >> 4, c & 15] {
        to.byte(b"0123456789abcdef"[half as usize]);
    }
}

#[no_mangle]
pub extern "C" fn tw_serialize(_unit: i32, n: i32) -> i32 {
    let mut to = Writer::new(&OUT);
    let (ts_event, symbol, side) = (TS_EVENT.rows(n), SYMBOL.rows(n), SIDE.rows(n));
    let (price, size) = (PRICE.rows(n), SIZE.rows(n));
    for i in 0..n as usize {
        to.text("{\"ts\":");
        to.u64(ts_event[i].get());
        to.text(",\"symbol\":\"");
        for c in symbol[i].get().iter().take_while(|c| **c != 0) {
            character(&mut to, *c);
        }
        to.text("\",\"side\":\"");
        character(&mut to, side[i].get());
        to.text("\",\"price\":");
        match price[i].get() {
            UNDEF_PRICE => to.text("null"),
            px => to.price(px),
        }
        to.text(",\"size\":");
        to.u64(size[i].get());
        to.text("}\n");
    }
    to.len()
}
