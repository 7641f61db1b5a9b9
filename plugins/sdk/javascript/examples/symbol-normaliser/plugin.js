// Writes symbols one way, whichever way venues do: capital letters, and one dot where there is a space, slash, hyphen, underscore or dot, none at the ends.
// "brk/b", "BRK B" and " BRK-B " are BRK.B. One of which nothing is left, or that has
// other bytes than printable ASCII, is none: it is emptied, and the instrument keeps the symbol that it has.
const DOT = 0x2e;
const parts = new Set([0x20, 0x2f, 0x2d, 0x5f, DOT]);

/** Normalises the text in bytes from … to-1, in place: it never gets longer. */
function normalise(bytes, from, to) {
  let at = from, dot = false;
  for (let k = from; k < to && bytes[k] !== 0; k++) {
    let c = bytes[k];
    if (parts.has(c)) {
      dot = at > from;
      continue;
    }
    if (c < 0x21 || c > 0x7e) {
      at = from;
      break;
    }
    if (dot) bytes[at++] = DOT;
    dot = false;
    bytes[at++] = c >= 0x61 && c <= 0x7a ? c - 0x20 : c;
  }
  bytes.fill(0, at, to);
}

tickwire.transform((n, { symbol }) => {
  for (let i = 0; i < n; i++) normalise(symbol.bytes, i * symbol.stride, (i + 1) * symbol.stride);
});
