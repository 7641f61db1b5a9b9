//! ISINs, which name securities: a country's two letters, nine letters or digits, and a check digit. US0378331005 is one. In small letters, and with spaces and -
//! within, as people write them, they are read too; written they are as they are normal.
#![no_std]
mod tickwire;
use tickwire::*;

const ROWS: usize = 1024;
const STRIDE: usize = 32;
const ISIN: usize = 12;

type Text = [u8; STRIDE];

static TEXT: Column<Text, ROWS> = Column::new();
static A: Column<Text, ROWS> = Column::new();
static B: Column<Text, ROWS> = Column::new();
static WRITTEN: Column<Text, ROWS> = Column::new();
static RESULT: Column<i64, ROWS> = Column::new();
static BAD: Column<u8, ROWS> = Column::new();
static CALL: Layout<6> = Layout::new(
    ROWS as u32,
    [
        TEXT.read(column::ARG),
        A.both(column::ARG + 1),
        B.read(column::ARG + 2),
        WRITTEN.write(column::ARG + 3),
        RESULT.write(column::RESULT),
        BAD.write(column::RESULT_NULL),
    ],
);
units!(CALL);

/// Letters are numbers of two digits, A is 10. From the right each second digit counts twice; the digits of all that add up to a multiple of ten.
fn checked(isin: &[u8]) -> bool {
    let (mut sum, mut twice) = (0, 0);
    for c in isin.iter().rev() {
        let mut v = if c.is_ascii_digit() { c - b'0' } else { c - b'A' + 10 };
        loop {
            let d = (v % 10) << twice;
            sum += d / 10 + d % 10;
            twice ^= 1;
            v /= 10;
            if v == 0 {
                break;
            }
        }
    }
    sum % 10 == 0
}

/// Reads an ISIN; None: it is none.
fn read(from: &Text) -> Option<Text> {
    let (mut to, mut n) = ([0; STRIDE], 0);
    for c in from.iter().take_while(|c| **c != 0).map(u8::to_ascii_uppercase) {
        if c == b' ' || c == b'-' {
            continue;
        }
        if n == ISIN || !(c.is_ascii_uppercase() || n >= 2 && c.is_ascii_digit()) {
            return None;
        }
        to[n] = c;
        n += 1;
    }
    if n == ISIN && to[ISIN - 1].is_ascii_digit() && checked(&to[..ISIN]) {
        Some(to)
    } else {
        None
    }
}

fn hash(text: &Text) -> i64 {
    text[..ISIN].iter().fold(14695981039346656037u64, |h, c| (h ^ *c as u64).wrapping_mul(1099511628211)) as i64 // FNV-1a
}

#[no_mangle]
pub extern "C" fn tw_type(_unit: i32, op: i32, n: i32) -> i32 {
    let (text, a, b, written) = (TEXT.rows(n), A.rows(n), B.rows(n), WRITTEN.rows(n));
    let (result, bad) = (RESULT.rows(n), BAD.rows(n));
    for i in 0..n as usize {
        let put = |to: &core::cell::Cell<Text>, isin: Option<Text>| {
            bad[i].set(isin.is_none() as u8);
            to.set(isin.unwrap_or([0; STRIDE]));
        };
        match op {
            op::VALIDATE => result[i].set(read(&text[i].get()).is_some() as i64),
            op::NORMALISE => put(&written[i], read(&text[i].get())),
            op::PARSE => put(&a[i], read(&text[i].get())),
            op::FORMAT => put(&written[i], read(&a[i].get())),
            op::COMPARE => result[i].set(a[i].get()[..ISIN].cmp(&b[i].get()[..ISIN]) as i64),
            op::HASH => result[i].set(hash(&a[i].get())),
            _ => return -1,
        }
    }
    n
}
