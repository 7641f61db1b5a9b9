// What stands before a plugin's script: `tickwire plugin build` puts both, and the engine that runs them (QuickJS), into one module.
// The script sees the constant tickwire and nothing else of this.
"use strict";
const tickwire = (() => {
  const units = TICKWIRE_UNITS; // of the manifest, with the columns of each: put here by build
  const ARRAYS = { u8: Uint8Array, u16: Uint16Array, u32: Uint32Array, i32: Int32Array, u64: BigUint64Array, i64: BigInt64Array, f64: Float64Array };
  const TYPES = ["", "u8", "u16", "u32", "u64", "i32", "i64", "f64", "str"];
  const ERROR_BYTES = 1024;

  /** A column of texts: bytes of stride each, the rest NUL. */
  class Texts {
    constructor(bytes, stride) {
      this.bytes = bytes;
      this.stride = stride;
    }
    get(i) {
      const from = i * this.stride;
      let text = "", code = 0, left = 0;
      for (let k = from; k < from + this.stride; k++) {
        const b = this.bytes[k];
        if (b === 0) break;
        if (b < 0x80) text += String.fromCharCode(b);
        else if (b >= 0xc0) [code, left] = b < 0xe0 ? [b & 0x1f, 1] : b < 0xf0 ? [b & 0x0f, 2] : [b & 0x07, 3];
        else if (left > 0) {
          code = (code << 6) | (b & 0x3f);
          if (--left === 0) text += code <= 0x10ffff ? String.fromCodePoint(code) : "\ufffd";
        }
      }
      return text;
    }
    /** A text that is longer than the column is an error. */
    set(i, text) {
      const from = i * this.stride, end = from + this.stride;
      let at = from;
      for (const c of text) {
        const p = c.codePointAt(0);
        const bytes =
          p < 0x80 ? [p]
          : p < 0x800 ? [0xc0 | (p >> 6), 0x80 | (p & 63)]
          : p < 0x10000 ? [0xe0 | (p >> 12), 0x80 | ((p >> 6) & 63), 0x80 | (p & 63)]
          : [0xf0 | (p >> 18), 0x80 | ((p >> 12) & 63), 0x80 | ((p >> 6) & 63), 0x80 | (p & 63)];
        if (at + bytes.length > end) throw new RangeError("a text of more than " + this.stride + " bytes");
        for (const b of bytes) this.bytes[at++] = b;
      }
      this.bytes.fill(0, at, end);
    }
    clear(i) {
      this.bytes.fill(0, i * this.stride, (i + 1) * this.stride);
    }
  }

  // Where things are: each unit's columns, then its layout, each at a multiple of 64; then room for an error's text.
  const align = (n) => Math.ceil(n / 64) * 64;
  let size = 64;
  for (const u of units) {
    for (const c of u.columns) {
      c.at = size;
      size = align(size + c.stride * u.rows);
    }
    u.at = size;
    size = align(size + 32 + 16 * u.columns.length);
  }
  const errorAt = size;
  const memory = new ArrayBuffer(size + ERROR_BYTES + 64);
  let base = 0, skip = 0, errorBytes = 0, params = Object.freeze({});

  /** Lays everything out, now that the address of memory is known. */
  function place(address) {
    base = align(address);
    skip = base - address;
    for (const u of units) {
      const view = new DataView(memory, skip + u.at);
      [0x31505754, u.rows, 0, 0, 0, 0, u.columns.length, 0].forEach((w, k) => view.setUint32(4 * k, w, true));
      u.see = {};
      u.columns.forEach((c, k) => {
        const at = 32 + 16 * k;
        view.setUint16(at, c.id, true);
        view.setUint8(at + 2, TYPES.indexOf(c.type));
        view.setUint8(at + 3, c.access);
        view.setUint32(at + 4, base + c.at, true);
        view.setUint32(at + 8, c.stride, true);
        const array = c.type === "str" ? new Texts(new Uint8Array(memory, skip + c.at, c.stride * u.rows), c.stride)
          : new ARRAYS[c.type](memory, skip + c.at, u.rows);
        if (c.list) (u.see[c.list] ??= []).push(array);
        else u.see[c.name] = array;
      });
      Object.freeze(u.see);
    }
  }

  /** Parameters as the host gives them: a flat object, whose whole numbers have up to 64 bits, so they are BigInts where the manifest says i64 or price. */
  function readParams(text) {
    const out = {};
    const token = /"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*|true|false/g;
    const parts = text.match(token) ?? [];
    for (let k = 0; k + 1 < parts.length; k += 2) {
      const value = parts[k + 1];
      out[JSON.parse(parts[k])] = /^-?\d+$/.test(value) && !TICKWIRE_FLOATS.includes(JSON.parse(parts[k])) ? BigInt(value) : JSON.parse(value);
    }
    return Object.freeze(out);
  }

  function fail(e) {
    let text = e instanceof Error ? e + "\n" + (e.stack ?? "") : "threw " + String(e);
    text = text.slice(0, ERROR_BYTES);
    const to = new Uint8Array(memory, skip + errorAt, ERROR_BYTES);
    for (let k = 0; k < text.length; k++) to[k] = text.charCodeAt(k) < 0x80 ? text.charCodeAt(k) : 0x3f;
    errorBytes = text.length;
    return -1;
  }

  function run(u, n) {
    let answer = u.handler(n, u.see, params);
    if (u.kind === "validator") {
      answer = 0;
      const ctl = u.see.row_ctl;
      for (let k = 0; k < n; k++) if (ctl[k] !== 0) answer++;
      return answer;
    }
    return n;
  }

  // What the host calls, by number (plugins/build/javascript.go).
  const calls = [
    (address, text) => (place(address), (params = readParams(text)), 0),
    (unit) => (unit >= 0 && unit < units.length ? base + units[unit].at : 0),
    (unit, n) => run(units[unit], n),
    () => {
      for (const u of units) if (!u.handler) throw new Error("the script has no " + u.kind + (u.name ? " " + u.name : ""));
      return 0;
    },
    (_, e) => fail(e),
    () => base + errorAt,
    () => errorBytes,
  ];
  Object.defineProperty(globalThis, "__tickwire", { value: (call, a, b) => {
    try {
      return calls[call](a, b);
    } catch (e) {
      return fail(e);
    }
  } });
  Object.defineProperty(globalThis, "__tickwire_memory", { value: memory });

  const handle = (kind, name, f) => {
    if (typeof f !== "function") throw new TypeError(kind + ": want a function");
    const u = units.find((u) => u.kind === kind && (name === undefined || u.name === name));
    if (!u) throw new Error("the manifest has no " + kind + (name ? " " + name : ""));
    u.handler = f;
  };
  return Object.freeze({
    KEEP: 0, REFUSE: 1, FLAG: 2,
    UNDEF_PRICE: 9223372036854775807n,
    KIND: Object.freeze({
      ADD: 1, EXEC: 2, EXEC_AT: 3, REDUCE: 4, DELETE: 5, REPLACE: 6, TRADE: 7, CROSS: 8, BREAK: 9, STATUS: 10, IMBALANCE: 11, DEFINITION: 12, STATISTICS: 13, EXT: 14,
      SYSTEM: 15, CLEAR: 16, MODIFY: 17, LEVEL: 18, IMPLIED: 19, FILL: 20, QUOTE: 21,
    }),
    transform: (f) => handle("transform", undefined, f),
    validator: (f) => handle("validator", undefined, f),
    partition: (name, f) => handle("partition", name, f),
    function: (name, f) => handle("function", name, f),
  });
})();
