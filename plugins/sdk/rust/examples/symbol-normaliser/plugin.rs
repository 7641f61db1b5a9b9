//! Writes symbols one way, whichever way venues do: capital letters, and one dot where there is a space, slash, hyphen, underscore or dot, none at the ends.
//! "brk/b", "BRK B" and " BRK-B " are BRK.B. One of which nothing is left, or that has
//! other bytes than printable ASCII, is none: it is emptied, and the instrument keeps the symbol that it has.
#![no_std]
#[path = "../../tickwire.rs"]
mod tickwire;
use tickwire::*;

const STRIDE: usize = 72; // the longest symbol that there is, and a NUL: none is cut

static SYMBOL: Column<[u8; STRIDE], 1024> = Column::new();
static ROWS: Layout<1> = Layout::new(1024, [SYMBOL.both(column::SYMBOL)]);
units!(ROWS);

fn normal(symbol: [u8; STRIDE]) -> [u8; STRIDE] {
    let mut out = [0; STRIDE];
    let (mut len, mut dot) = (0, false);
    for c in symbol.iter().take_while(|c| **c != 0) {
        if b" /-_.".contains(c) {
            dot = len > 0;
            continue;
        }
        if !c.is_ascii_graphic() {
            return [0; STRIDE];
        }
        if dot {
            out[len] = b'.';
            len += 1;
        }
        dot = false;
        out[len] = c.to_ascii_uppercase();
        len += 1;
    }
    out
}

#[no_mangle]
pub extern "C" fn tw_transform(_unit: i32, n: i32) -> i32 {
    for symbol in SYMBOL.rows(n) {
        symbol.set(normal(symbol.get()));
    }
    n
}
