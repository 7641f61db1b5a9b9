// Adds the spread of the best prices to each row. Prices are BigInts in 1e-9.
tickwire.transform((n, { bid_px, ask_px, spread }) => {
  for (let i = 0; i < n; i++) {
    if (bid_px[i] !== tickwire.UNDEF_PRICE && ask_px[i] !== tickwire.UNDEF_PRICE) spread[i] = ask_px[i] - bid_px[i]; // it is 0 otherwise
  }
});
