//! Adds the spread of the best prices to each row: the custom column `spread`.
#![no_std]
mod tickwire;
use tickwire::*;

static BID: Column<i64, 1024> = Column::new();
static ASK: Column<i64, 1024> = Column::new();
static SPREAD: Column<i64, 1024> = Column::new();
static ROWS: Layout<3> = Layout::new(1024, [BID.read(column::BID_PX), ASK.read(column::ASK_PX), SPREAD.write(column::CUSTOM)]);
units!(ROWS);

#[no_mangle]
pub extern "C" fn tw_transform(_unit: i32, n: i32) -> i32 {
    for ((bid, ask), spread) in BID.rows(n).iter().zip(ASK.rows(n)).zip(SPREAD.rows(n)) {
        if bid.get() != UNDEF_PRICE && ask.get() != UNDEF_PRICE {
            spread.set(ask.get() - bid.get());
        }
    }
    n
}
