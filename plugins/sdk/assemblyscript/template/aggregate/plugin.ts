// price_range(price): the greatest price less the least.
import { Column, Layout, COLUMN } from "./tickwire";
export { tw_abi } from "./tickwire";

const ROWS = 1024;

/** Of a group: rows, least, greatest. The host moves it, so it has no addresses in it. */
@unmanaged
class State {
  static readonly BYTES: i32 = 24;

  rows: i64;
  least: i64;
  greatest: i64;

  add(rows: i64, least: i64, greatest: i64): void {
    if (rows == 0) return;
    if (this.rows == 0 || least < this.least) this.least = least;
    if (this.rows == 0 || greatest > this.greatest) this.greatest = greatest;
    this.rows += rows;
  }
}

const states = memory.data(State.BYTES * ROWS, 64);
const others = memory.data(State.BYTES * ROWS, 64);
const price = changetype<Column<i64>>(memory.data(8 * ROWS, 64));
const group = changetype<Column<u32>>(memory.data(4 * ROWS, 64));
const result = changetype<Column<i64>>(memory.data(8 * ROWS, 64));
const nulls = changetype<Column<u8>>(memory.data(ROWS, 64));

const call = changetype<Layout>(memory.data(Layout.BYTES, 64));
call.begin(ROWS);
call.read<i64>(COLUMN.ARG, price);
call.read<u32>(COLUMN.GROUP, group);
call.write<i64>(COLUMN.RESULT, result);
call.write<u8>(COLUMN.RESULT_NULL, nulls);
call.input(others, State.BYTES * ROWS);
call.output(states, State.BYTES * ROWS);

export function tw_layout(unit: i32): usize {
  return unit == 0 ? changetype<usize>(call) : 0;
}

function state(at: usize, i: u32): State {
  return changetype<State>(at + (<usize>i) * State.BYTES);
}

export function tw_agg_start(unit: i32, groups: i32): i32 {
  memory.fill(states, 0, groups * State.BYTES);
  return groups;
}

export function tw_agg_update(unit: i32, n: i32, groups: i32): i32 {
  for (let i = 0; i < n; i++) {
    if (group[i] < <u32>groups) state(states, group[i]).add(1, price[i], price[i]);
  }
  return n;
}

export function tw_agg_merge(unit: i32, groups: i32): i32 {
  for (let i = 0; i < groups; i++) {
    const other = state(others, i);
    state(states, i).add(other.rows, other.least, other.greatest);
  }
  return groups;
}

export function tw_agg_result(unit: i32, groups: i32): i32 {
  for (let i = 0; i < groups; i++) {
    const s = state(states, i);
    nulls[i] = s.rows == 0 ? 1 : 0;
    result[i] = s.greatest - s.least;
  }
  return groups;
}
