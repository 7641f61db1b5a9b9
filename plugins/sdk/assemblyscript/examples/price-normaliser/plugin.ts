// Brings prices of a venue that quotes in another unit to the unit of everybody else: price × multiplier ÷ divisor, rounded half away from zero.
// What the venue said goes to the custom column raw_price. A price that would not fit stays as it is, and its row is flagged.
import { Column, Layout, COLUMN, VERDICT, UNDEF_PRICE, paramI64 } from "../../tickwire";
export { tw_abi } from "../../tickwire";

const price = changetype<Column<i64>>(memory.data(8 * 1024, 64));
const rawPrice = changetype<Column<i64>>(memory.data(8 * 1024, 64));
const rowCtl = changetype<Column<u8>>(memory.data(1024, 64));
const reason = changetype<Column<u8>>(memory.data(1024, 64));

const rows = changetype<Layout>(memory.data(Layout.BYTES, 64));
rows.begin(1024);
rows.both<i64>(COLUMN.PRICE, price);
rows.write<u8>(COLUMN.ROW_CTL, rowCtl);
rows.write<u8>(COLUMN.REASON, reason);
rows.write<i64>(COLUMN.CUSTOM, rawPrice);

export function tw_layout(unit: i32): usize {
  return unit == 0 ? changetype<usize>(rows) : 0;
}

const TOO_LARGE: u8 = 0;

let multiplier: i64 = 1; // 1 to 1,000,000: the manifest sees to it
let divisor: i64 = 100;

const room = memory.data(1024);

export function tw_alloc(bytes: u32): usize {
  return bytes <= 1024 ? room : 0;
}

export function tw_init(params: usize, len: i32): i32 {
  multiplier = paramI64(params, len, "multiplier", 1);
  divisor = paramI64(params, len, "divisor", 100);
  return 0;
}

function normal(px: i64): i64 {
  const product = px * multiplier;
  const rest = product % divisor;
  const away: i64 = rest < 0 ? -1 : 1;
  return product / divisor + (rest * away * 2 >= divisor ? away : 0);
}

export function tw_transform(unit: i32, n: i32): i32 {
  const most = i64.MAX_VALUE / multiplier;
  for (let i = 0; i < n; i++) {
    const px = price[i];
    rawPrice[i] = px;
    if (px == UNDEF_PRICE) continue;
    if (px > most || px < -most) {
      rowCtl[i] = VERDICT.FLAG;
      reason[i] = TOO_LARGE;
      continue;
    }
    price[i] = normal(px);
  }
  return n;
}
