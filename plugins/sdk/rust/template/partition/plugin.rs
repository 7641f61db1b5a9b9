//! A partition for each day (UTC) and one of 16 groups of instruments: all of an instrument's day lies together, and no partition has all of a day.
#![no_std]
mod tickwire;
use tickwire::*;

const DAY: u64 = 86_400_000_000_000; // ns
const GROUPS: u64 = 16;

static TS_EVENT: Column<u64, 1024> = Column::new();
static INSTRUMENT: Column<u32, 1024> = Column::new();
static KEY: Column<u64, 1024> = Column::new();
static ROWS: Layout<3> = Layout::new(1024, [TS_EVENT.read(column::TS_EVENT), INSTRUMENT.read(column::INSTRUMENT_ID), KEY.write(column::RESULT)]);
units!(ROWS);

#[no_mangle]
pub extern "C" fn tw_partition(_unit: i32, n: i32) -> i32 {
    for ((ts_event, instrument), key) in TS_EVENT.rows(n).iter().zip(INSTRUMENT.rows(n)).zip(KEY.rows(n)) {
        // Numbers of neighbours fall into groups far apart: the upper bits of a product with 2^32 / φ.
        key.set(ts_event.get() / DAY * GROUPS + (instrument.get().wrapping_mul(2654435769) >> 28) as u64);
    }
    n
}
