//! price_range(price): the greatest price less the least.
#![no_std]
mod tickwire;
use tickwire::*;

const ROWS: usize = 1024;

/// Of a group: rows, least, greatest. The host moves it, so it has no addresses in it.
type State = [i64; 3];

static STATES: Room<State, ROWS> = Room::filled([0; 3]);
static OTHERS: Room<State, ROWS> = Room::filled([0; 3]);

static PRICE: Column<i64, ROWS> = Column::new();
static GROUP: Column<u32, ROWS> = Column::new();
static RESULT: Column<i64, ROWS> = Column::new();
static NULL: Column<u8, ROWS> = Column::new();
static CALL: Layout<4> = Layout::new(
    ROWS as u32,
    [PRICE.read(column::ARG), GROUP.read(column::GROUP), RESULT.write(column::RESULT), NULL.write(column::RESULT_NULL)],
)
.input(&OTHERS)
.output(&STATES);
units!(CALL);

fn sum([rows, least, greatest]: State, [more, low, high]: State) -> State {
    match (rows, more) {
        (_, 0) => [rows, least, greatest],
        (0, _) => [more, low, high],
        _ => [rows + more, least.min(low), greatest.max(high)],
    }
}

#[no_mangle]
pub extern "C" fn tw_agg_start(_unit: i32, groups: i32) -> i32 {
    for state in STATES.rows(groups) {
        state.set([0; 3]);
    }
    groups
}

#[no_mangle]
pub extern "C" fn tw_agg_update(_unit: i32, n: i32, groups: i32) -> i32 {
    let states = STATES.rows(groups);
    for (price, group) in PRICE.rows(n).iter().zip(GROUP.rows(n)) {
        let state = &states[group.get() as usize];
        state.set(sum(state.get(), [1, price.get(), price.get()]));
    }
    n
}

#[no_mangle]
pub extern "C" fn tw_agg_merge(_unit: i32, groups: i32) -> i32 {
    for (state, other) in STATES.rows(groups).iter().zip(OTHERS.rows(groups)) {
        state.set(sum(state.get(), other.get()));
    }
    groups
}

#[no_mangle]
pub extern "C" fn tw_agg_result(_unit: i32, groups: i32) -> i32 {
    for ((state, result), null) in STATES.rows(groups).iter().zip(RESULT.rows(groups)).zip(NULL.rows(groups)) {
        let [rows, least, greatest] = state.get();
        null.set((rows == 0) as u8);
        result.set(greatest - least);
    }
    groups
}
