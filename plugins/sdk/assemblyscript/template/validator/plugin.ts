// Flags rows whose price is not above zero.
import { Column, Layout, COLUMN, VERDICT } from "./tickwire";
export { tw_abi } from "./tickwire";

const price = changetype<Column<i64>>(memory.data(8 * 1024, 64));
const rowCtl = changetype<Column<u8>>(memory.data(1024, 64));
const reason = changetype<Column<u8>>(memory.data(1024, 64));

const rows = changetype<Layout>(memory.data(Layout.BYTES, 64));
rows.begin(1024);
rows.read<i64>(COLUMN.PRICE, price);
rows.write<u8>(COLUMN.ROW_CTL, rowCtl);
rows.write<u8>(COLUMN.REASON, reason);

export function tw_layout(unit: i32): usize {
  return unit == 0 ? changetype<usize>(rows) : 0;
}

const NOT_ABOVE_ZERO: u8 = 0; // an index into the manifest's reasons

export function tw_validate(unit: i32, n: i32): i32 {
  let notKept = 0;
  for (let i = 0; i < n; i++) {
    if (price[i] > 0) continue;
    rowCtl[i] = VERDICT.FLAG;
    reason[i] = NOT_ABOVE_ZERO;
    notKept++;
  }
  return notKept;
}
