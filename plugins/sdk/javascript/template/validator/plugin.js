// Flags rows whose price is not above zero.
const NOT_ABOVE_ZERO = 0; // index into the manifest's reasons

tickwire.validator((n, { price, row_ctl, reason }) => {
  for (let i = 0; i < n; i++) {
    if (price[i] > 0n) continue;
    row_ctl[i] = tickwire.FLAG;
    reason[i] = NOT_ABOVE_ZERO;
  }
});
