// mid(bid, ask): the middle between two prices, rounded down.
tickwire.function("mid", (n, { args: [bid, ask], result }) => {
  for (let i = 0; i < n; i++) result[i] = (bid[i] + ask[i]) >> 1n;
});
