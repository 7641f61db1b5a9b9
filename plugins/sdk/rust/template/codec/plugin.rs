//! Whole numbers as differences: each from the one before it (the first from 0), zigzag so that small negative ones are small too, as varints of 7 bits a byte, low
//! ones first. Times and prices of neighbours become one to three bytes.
#![no_std]
mod tickwire;
use tickwire::*;

const ROWS: usize = 4096;
const MOST_BYTES: usize = 10;

static IN: Room<u8, { ROWS * MOST_BYTES }> = Room::new();
static OUT: Room<u8, { ROWS * MOST_BYTES }> = Room::new();
static VALUES: Column<i64, ROWS> = Column::new();
static DECODED: Column<i64, ROWS> = Column::new();
static BLOCK: Layout<2> = Layout::new(ROWS as u32, [VALUES.read(column::ARG), DECODED.write(column::RESULT)]).input(&IN).output(&OUT);
units!(BLOCK);

#[no_mangle]
pub extern "C" fn tw_encode(_unit: i32, n: i32) -> i32 {
    let mut to = Writer::new(&OUT);
    let mut before = 0i64;
    for value in VALUES.rows(n) {
        let difference = value.get().wrapping_sub(before);
        before = value.get();
        let mut v = (difference << 1 ^ difference >> 63) as u64;
        while v >= 0x80 {
            to.byte(v as u8 | 0x80);
            v >>= 7;
        }
        to.byte(v as u8);
    }
    to.len()
}

#[no_mangle]
pub extern "C" fn tw_decode(_unit: i32, len: i32) -> i32 {
    let (decoded, mut n) = (DECODED.rows(ROWS as i32), 0);
    let (mut value, mut v, mut shift) = (0u64, 0u64, 0);
    for b in IN.rows(len).iter().map(|b| b.get()) {
        if shift == 63 && b > 1 {
            return fail("a number has more than 64 bits");
        }
        v |= ((b & 0x7f) as u64) << shift;
        shift += 7;
        if b & 0x80 != 0 {
            continue;
        }
        if n == ROWS {
            return fail("more numbers than a block has");
        }
        value = value.wrapping_add(v >> 1 ^ (v & 1).wrapping_neg());
        decoded[n].set(value as i64);
        n += 1;
        v = 0;
        shift = 0;
    }
    if shift > 0 {
        return fail("a number is cut off");
    }
    n as i32
}
