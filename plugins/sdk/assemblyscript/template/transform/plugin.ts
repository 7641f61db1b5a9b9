// Adds the spread of the best prices to each row: the custom column `spread`.
import { Column, Layout, COLUMN, UNDEF_PRICE } from "./tickwire";
export { tw_abi } from "./tickwire";

const bid = changetype<Column<i64>>(memory.data(8 * 1024, 64));
const ask = changetype<Column<i64>>(memory.data(8 * 1024, 64));
const spread = changetype<Column<i64>>(memory.data(8 * 1024, 64));

const rows = changetype<Layout>(memory.data(Layout.BYTES, 64));
rows.begin(1024);
rows.read<i64>(COLUMN.BID_PX, bid);
rows.read<i64>(COLUMN.ASK_PX, ask);
rows.write<i64>(COLUMN.CUSTOM, spread);

export function tw_layout(unit: i32): usize {
  return unit == 0 ? changetype<usize>(rows) : 0;
}

export function tw_transform(unit: i32, n: i32): i32 {
  for (let i = 0; i < n; i++) {
    if (bid[i] != UNDEF_PRICE && ask[i] != UNDEF_PRICE) spread[i] = ask[i] - bid[i];
  }
  return n;
}
