//! Brings prices of a venue that quotes in another unit to the unit of everybody else: price × multiplier ÷ divisor, rounded half away from zero.
//! What the venue said goes to the custom column raw_price. A price that would not fit stays as it is, and its row is flagged.
#![no_std]
#[path = "../../tickwire.rs"]
mod tickwire;
use tickwire::*;

static PRICE: Column<i64, 1024> = Column::new();
static RAW_PRICE: Column<i64, 1024> = Column::new();
static ROW_CTL: Column<u8, 1024> = Column::new();
static REASON: Column<u8, 1024> = Column::new();
static ROWS: Layout<4> = Layout::new(
    1024,
    [PRICE.both(column::PRICE), ROW_CTL.write(column::ROW_CTL), REASON.write(column::REASON), RAW_PRICE.write(column::CUSTOM)],
);
units!(ROWS);

const TOO_LARGE: u8 = 0;

static MULTIPLIER: Global<i64> = Global::new(1); // 1 to 1,000,000: the manifest sees to it
static DIVISOR: Global<i64> = Global::new(100);

params!(1024, |p| {
    MULTIPLIER.set(p.i64("multiplier", 1));
    DIVISOR.set(p.i64("divisor", 100));
    0
});

fn normal(px: i64, multiplier: i64, divisor: i64) -> i64 {
    let product = px * multiplier;
    let (quotient, rest) = (product / divisor, product % divisor);
    if rest.abs() * 2 >= divisor { quotient + rest.signum() } else { quotient }
}

#[no_mangle]
pub extern "C" fn tw_transform(_unit: i32, n: i32) -> i32 {
    let (multiplier, divisor) = (MULTIPLIER.get(), DIVISOR.get());
    let most = i64::MAX / multiplier;
    let (row_ctl, reason) = (ROW_CTL.rows(n), REASON.rows(n));
    for (i, (price, raw)) in PRICE.rows(n).iter().zip(RAW_PRICE.rows(n)).enumerate() {
        let px = price.get();
        raw.set(px);
        if px == UNDEF_PRICE {
            continue;
        }
        if px > most || px < -most {
            row_ctl[i].set(verdict::FLAG);
            reason[i].set(TOO_LARGE);
            continue;
        }
        price.set(normal(px, multiplier, divisor));
    }
    n
}
