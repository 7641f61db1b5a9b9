//! mid(bid, ask): the middle between two prices.
#![no_std]
mod tickwire;
use tickwire::*;

static BID: Column<i64, 1024> = Column::new();
static ASK: Column<i64, 1024> = Column::new();
static RESULT: Column<i64, 1024> = Column::new();
static CALL: Layout<3> = Layout::new(1024, [BID.read(column::ARG), ASK.read(column::ARG + 1), RESULT.write(column::RESULT)]);
units!(CALL);

#[no_mangle]
pub extern "C" fn tw_function(_unit: i32, n: i32) -> i32 {
    for ((bid, ask), result) in BID.rows(n).iter().zip(ASK.rows(n)).zip(RESULT.rows(n)) {
        let (a, b) = (bid.get(), ask.get());
        result.set((a & b) + ((a ^ b) >> 1)); // the sum would not always fit
    }
    n
}
