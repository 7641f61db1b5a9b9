//! Flags rows whose price is not above zero.
#![no_std]
mod tickwire;
use tickwire::*;

static PRICE: Column<i64, 1024> = Column::new();
static ROW_CTL: Column<u8, 1024> = Column::new();
static REASON: Column<u8, 1024> = Column::new();
static ROWS: Layout<3> = Layout::new(1024, [PRICE.read(column::PRICE), ROW_CTL.write(column::ROW_CTL), REASON.write(column::REASON)]);
units!(ROWS);

const NOT_ABOVE_ZERO: u8 = 0; // an index into the manifest's reasons

#[no_mangle]
pub extern "C" fn tw_validate(_unit: i32, n: i32) -> i32 {
    let mut not_kept = 0;
    for ((price, row_ctl), reason) in PRICE.rows(n).iter().zip(ROW_CTL.rows(n)).zip(REASON.rows(n)) {
        if price.get() <= 0 {
            row_ctl.set(verdict::FLAG);
            reason.set(NOT_ABOVE_ZERO);
            not_kept += 1;
        }
    }
    not_kept
}
