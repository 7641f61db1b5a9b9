// Brings prices of a venue that quotes in another unit to the unit of everybody else: price × multiplier ÷ divisor, rounded half away from zero.
// What the venue said goes to the custom column raw_price. A price that would not fit stays as it is, and its row is flagged.
const TOO_LARGE = 0;
const MOST = 2n ** 63n - 1n;

tickwire.transform((n, { price, raw_price, row_ctl, reason }, { multiplier, divisor }) => {
  const most = MOST / multiplier;
  for (let i = 0; i < n; i++) {
    const px = price[i];
    raw_price[i] = px;
    if (px === tickwire.UNDEF_PRICE) continue;
    if (px > most || px < -most) {
      row_ctl[i] = tickwire.FLAG;
      reason[i] = TOO_LARGE;
      continue;
    }
    const product = px * multiplier, rest = product % divisor, away = rest < 0n ? -1n : 1n;
    price[i] = product / divisor + (rest * away * 2n >= divisor ? away : 0n);
  }
});
