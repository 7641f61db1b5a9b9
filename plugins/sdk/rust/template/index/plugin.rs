//! The least and the greatest value of each 64 rows: a range that is looked for needs only the zones that may hold some of it. Good for what comes in order
//! (times, sequences), of no use for what does not: that is what it advises by.
//!
//! ```text
//!    0        8                   16 × zones + 8
//!    | rows   | least, greatest … |                  i64 each, little-endian
//! ```
#![no_std]
mod tickwire;
use core::cell::Cell;
use tickwire::*;

const ROWS: usize = 4096;
const ZONE: usize = 64;
const WORDS: usize = 1 + 2 * (ROWS / ZONE);

static IN: Room<i64, WORDS> = Room::new();
static OUT: Room<i64, WORDS> = Room::new();
static VALUES: Column<i64, ROWS> = Column::new();
static LEAST: Column<i64, ROWS> = Column::new();
static GREATEST: Column<i64, ROWS> = Column::new();
static FROM: Column<u32, ROWS> = Column::new();
static BEHIND: Column<u32, ROWS> = Column::new();
static BLOCK: Layout<5> = Layout::new(
    ROWS as u32,
    [
        VALUES.read(column::ARG),
        LEAST.read(column::ARG + 1),
        GREATEST.read(column::ARG + 2),
        FROM.write(column::ARG + 3),
        BEHIND.write(column::ARG + 4),
    ],
)
.input(&IN)
.output(&OUT);
units!(BLOCK);

const USE: i32 = 0; // strategies
const LEAVE: i32 = 1;

/// The least and the greatest of values.
fn zone_of(values: &[Cell<i64>]) -> (i64, i64) {
    values.iter().fold((i64::MAX, i64::MIN), |(least, greatest), v| (least.min(v.get()), greatest.max(v.get())))
}

#[no_mangle]
pub extern "C" fn tw_index_build(_unit: i32, n: i32) -> i32 {
    let words = OUT.rows(WORDS as i32);
    let mut at = 1;
    words[0].set(n as i64);
    for zone in VALUES.rows(n).chunks(ZONE) {
        let (least, greatest) = zone_of(zone);
        words[at].set(least);
        words[at + 1].set(greatest);
        at += 2;
    }
    8 * at as i32
}

#[no_mangle]
pub extern "C" fn tw_index_probe(_unit: i32, len: i32) -> i32 {
    let words = IN.rows(WORDS as i32);
    let rows = words[0].get().clamp(-1, ROWS as i64 + 1) as usize; // usize has 32 bits
    let zones = if rows > ROWS { 0 } else { (rows + ZONE - 1) / ZONE };
    if len < 8 || rows > ROWS || len as usize != 8 + 16 * zones {
        return fail("these are no bytes of an index");
    }
    let (least, greatest) = (LEAST.rows(1)[0].get(), GREATEST.rows(1)[0].get());
    let (from, behind, mut ranges) = (FROM.rows(ROWS as i32), BEHIND.rows(ROWS as i32), 0);
    for (z, zone) in words[1..1 + 2 * zones].chunks_exact(2).enumerate() {
        if zone[1].get() < least || zone[0].get() > greatest {
            continue;
        }
        let first = (z * ZONE) as u32;
        if ranges == 0 || behind[ranges - 1].get() != first {
            from[ranges].set(first);
            ranges += 1;
        }
        behind[ranges - 1].set(rows.min((z + 1) * ZONE) as u32);
    }
    ranges as i32
}

fn width((least, greatest): (i64, i64)) -> f64 {
    greatest as f64 - least as f64
}

/// Of use where a zone covers less than a quarter of the values' range on average.
#[no_mangle]
pub extern "C" fn tw_index_advise(_unit: i32, n: i32) -> i32 {
    let values = VALUES.rows(n);
    if values.len() <= ZONE {
        return LEAVE;
    }
    let (widths, zones) = values.chunks(ZONE).fold((0.0, 0.0), |(widths, zones), zone| (widths + width(zone_of(zone)), zones + 1.0));
    if widths / zones < width(zone_of(values)) / 4.0 {
        USE
    } else {
        LEAVE
    }
}
