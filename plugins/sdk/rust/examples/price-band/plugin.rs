//! Flags (or refuses) orders and trades whose price is further than band_bp basis points from the instrument's last trade. The trade itself is the last one from
//! then on, so the band follows the market whatever was said of it. Before an instrument's first trade there is nothing to go by.
#![no_std]
#[path = "../../tickwire.rs"]
mod tickwire;
use tickwire::*;

static KIND: Column<u8, 1024> = Column::new();
static INSTRUMENT: Column<u32, 1024> = Column::new();
static PRICE: Column<i64, 1024> = Column::new();
static ROW_CTL: Column<u8, 1024> = Column::new();
static REASON: Column<u8, 1024> = Column::new();
static ROWS: Layout<5> = Layout::new(
    1024,
    [
        KIND.read(column::KIND),
        INSTRUMENT.read(column::INSTRUMENT_ID),
        PRICE.read(column::PRICE),
        ROW_CTL.write(column::ROW_CTL),
        REASON.write(column::REASON),
    ],
);
units!(ROWS);

// Last trades: an open hash of instruments, 0 is a free slot. One that finds no slot within PROBES is not judged, and counted.
const SLOT_BITS: u32 = 14;
const SLOTS: usize = 1 << SLOT_BITS;
const PROBES: usize = 16;

static LAST_INSTRUMENT: Room<u32, SLOTS> = Room::new();
static LAST_PRICE: Room<i64, SLOTS> = Room::new();

const OUTSIDE: u8 = 0;

static BAND_BP: Global<i64> = Global::new(500);
static VERDICT: Global<u8> = Global::new(verdict::FLAG);

params!(1024, |p| {
    BAND_BP.set(p.i64("band_bp", 500));
    VERDICT.set(if p.bool("refuse") { verdict::REFUSE } else { verdict::FLAG });
    0
});

fn slot_of(id: u32) -> Option<usize> {
    let instruments = LAST_INSTRUMENT.rows(SLOTS as i32);
    let first = (id.wrapping_mul(2654435761) >> (32 - SLOT_BITS)) as usize;
    for probe in 0..PROBES {
        let at = (first + probe) % SLOTS;
        if instruments[at].get() == 0 {
            instruments[at].set(id);
        }
        if instruments[at].get() == id {
            return Some(at);
        }
    }
    None
}

fn outside(px: i64, last: i64) -> bool {
    last > 0 && px.abs_diff(last) > (last / 10000 * BAND_BP.get()) as u64
}

#[no_mangle]
pub extern "C" fn tw_validate(_unit: i32, n: i32) -> i32 {
    let (kinds, instruments, prices) = (KIND.rows(n), INSTRUMENT.rows(n), PRICE.rows(n));
    let (row_ctl, reason) = (ROW_CTL.rows(n), REASON.rows(n));
    let last = LAST_PRICE.rows(SLOTS as i32);
    let mut not_kept = 0;
    for i in 0..n as usize {
        let (kind, id, px) = (kinds[i].get(), instruments[i].get(), prices[i].get());
        let trade = matches!(kind, kind::EXEC | kind::EXEC_AT | kind::TRADE);
        let order = matches!(kind, kind::ADD | kind::REPLACE | kind::MODIFY);
        if id == 0 || px == UNDEF_PRICE || !(trade || order) {
            continue;
        }
        let slot = match slot_of(id) {
            Some(slot) => &last[slot],
            None => {
                metric("untracked", 1);
                continue;
            }
        };
        if outside(px, slot.get()) {
            row_ctl[i].set(VERDICT.get());
            reason[i].set(OUTSIDE);
            not_kept += 1;
        }
        if trade {
            slot.set(px);
        }
    }
    not_kept
}
