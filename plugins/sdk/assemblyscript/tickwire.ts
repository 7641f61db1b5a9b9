// tickwire.ts: everything that a plugin in AssemblyScript needs.
//
//     import { Column, Layout, COLUMN } from "./tickwire";
//     export { tw_abi } from "./tickwire";
//
//     const price = changetype<Column<i64>>(memory.data(8 * 1024, 64));          // the column: 1,024 rows of 8 bytes
//     const rows = changetype<Layout>(memory.data(Layout.BYTES, 64));            // what the host sees of it
//     rows.begin(1024);
//     rows.both<i64>(COLUMN.PRICE, price);
//
//     export function tw_layout(unit: i32): usize { return unit == 0 ? changetype<usize>(rows) : 0; }
//
//     export function tw_transform(unit: i32, n: i32): i32 {                      // the call: n rows lie in the columns
//       for (let i = 0; i < n; i++) price[i] = price[i] * 100;
//       return n;
//     }
//
// plugins/ABI.md says what each call gets and returns; a negative number is an error. Prices are 1e-9, times ns since the Unix epoch, UNDEF_PRICE is no price.
// Nothing here allocates, and a plugin should not either: the stub runtime never frees.
//
// Built with: asc plugin.ts -O3 --noAssert --runtime stub --use abort=  (tickwire plugin build does it)

export const UNDEF_PRICE: i64 = i64.MAX_VALUE;

export function tw_abi(): i32 {
  return 1;
}

/** Kinds of row: what the columns of each mean is written at tick.Kind. */
export namespace KIND {
  export const ADD: u8 = 1;
  export const EXEC: u8 = 2;
  export const EXEC_AT: u8 = 3;
  export const REDUCE: u8 = 4;
  export const DELETE: u8 = 5;
  export const REPLACE: u8 = 6;
  export const TRADE: u8 = 7;
  export const CROSS: u8 = 8;
  export const BREAK: u8 = 9;
  export const STATUS: u8 = 10;
  export const IMBALANCE: u8 = 11;
  export const DEFINITION: u8 = 12;
  export const STATISTICS: u8 = 13;
  export const EXT: u8 = 14;
  export const SYSTEM: u8 = 15;
  export const CLEAR: u8 = 16;
  export const MODIFY: u8 = 17;
  export const LEVEL: u8 = 18;
  export const IMPLIED: u8 = 19;
  export const FILL: u8 = 20;
  export const QUOTE: u8 = 21;
}

/** Verdicts: ROW_CTL. */
export namespace VERDICT {
  export const KEEP: u8 = 0;
  export const REFUSE: u8 = 1;
  export const FLAG: u8 = 2;
}

/** Numbers of columns. */
export namespace COLUMN {
  export const KIND: u16 = 1;
  export const SUB: u16 = 2;
  export const SIDE: u16 = 3;
  export const FLAGS: u16 = 4;
  export const INSTRUMENT_ID: u16 = 5;
  export const TS_EVENT: u16 = 6;
  export const TS_RECV: u16 = 7;
  export const SEQUENCE: u16 = 8;
  export const ORDER_ID: u16 = 9;
  export const AUX: u16 = 10;
  export const PRICE: u16 = 11;
  export const SIZE: u16 = 12;
  export const STATE: u16 = 13;
  export const LEFT: u16 = 14;
  export const OLD_PRICE: u16 = 15;
  export const OLD_SIZE: u16 = 16;
  export const BID_PX: u16 = 17;
  export const ASK_PX: u16 = 18;
  export const BID_SZ: u16 = 19;
  export const ASK_SZ: u16 = 20;
  export const BID_CT: u16 = 21;
  export const ASK_CT: u16 = 22;
  export const PREV_BID_PX: u16 = 23;
  export const PREV_ASK_PX: u16 = 24;
  export const PREV_BID_SZ: u16 = 25;
  export const PREV_ASK_SZ: u16 = 26;
  export const PREV_BID_CT: u16 = 27;
  export const PREV_ASK_CT: u16 = 28;
  export const PUBLISHER_ID: u16 = 29;
  export const SYMBOL: u16 = 30;
  export const MPID: u16 = 31;
  export const ROW_CTL: u16 = 64;
  export const REASON: u16 = 65;
  /** And on: the transform's own custom columns in the manifest's order. */
  export const CUSTOM: u16 = 128;
  /** And on: those of plugins before it, in the order in which `reads` names them. */
  export const EARLIER: u16 = 132;
  /** And on: arguments. */
  export const ARG: u16 = 512;
  /** Aggregates: the row's group. */
  export const GROUP: u16 = 527;
  /** And on: 1: the argument is NULL. */
  export const ARG_NULL: u16 = 640;
  export const RESULT: u16 = 768;
  export const RESULT_NULL: u16 = 769;
}

/** Operations of tw_type. */
export namespace OP {
  export const VALIDATE: i32 = 0;
  export const NORMALISE: i32 = 1;
  export const PARSE: i32 = 2;
  export const FORMAT: i32 = 3;
  export const COMPARE: i32 = 4;
  export const HASH: i32 = 5;
}

/** A column of u8, u16, u32, u64, i32, i64 or f64: static memory that is read and written as an array. Rows are not checked: use the first n. */
@unmanaged
export class Column<T> {
  // @ts-ignore: decorator
  @inline @operator("[]") get(i: i32): T {
    return load<T>(changetype<usize>(this) + (<usize>i) * sizeof<T>());
  }
  // @ts-ignore: decorator
  @inline @operator("[]=") set(i: i32, v: T): void {
    store<T>(changetype<usize>(this) + (<usize>i) * sizeof<T>(), v);
  }
}

function typeOf<T>(): u8 {
  if (isFloat<T>()) return 7;
  if (sizeof<T>() == 1) return 1;
  if (sizeof<T>() == 2) return 2;
  if (sizeof<T>() == 4) return isSigned<T>() ? 5 : 3;
  return isSigned<T>() ? 6 : 4;
}

/** What the host sees of a unit: its columns, and its bytes in and out. Static memory of BYTES bytes. */
@unmanaged
export class Layout {
  /** Room for 64 columns. */
  static readonly BYTES: i32 = 1056;

  magic: u32;
  maxRows: u32;
  bytesIn: usize;
  inBytes: u32;
  bytesOut: usize;
  outBytes: u32;
  columns: u32;
  zero: u32;

  /** max_rows of the manifest. */
  begin(maxRows: u32): void {
    this.magic = 0x31505754;
    this.maxRows = maxRows;
  }
  read<T>(id: u16, column: Column<T>): void {
    this.add(id, typeOf<T>(), 1, changetype<usize>(column), sizeof<T>());
  }
  write<T>(id: u16, column: Column<T>): void {
    this.add(id, typeOf<T>(), 2, changetype<usize>(column), sizeof<T>());
  }
  both<T>(id: u16, column: Column<T>): void {
    this.add(id, typeOf<T>(), 3, changetype<usize>(column), sizeof<T>());
  }
  /** Columns of texts: memory of max_rows times stride bytes, each filled up with NUL; the stride is a multiple of 8, to 256. */
  readTexts(id: u16, at: usize, stride: u32): void {
    this.add(id, 8, 1, at, stride);
  }
  writeTexts(id: u16, at: usize, stride: u32): void {
    this.add(id, 8, 2, at, stride);
  }
  bothTexts(id: u16, at: usize, stride: u32): void {
    this.add(id, 8, 3, at, stride);
  }
  /** Where bytes in are: parsers, decoders, indexes, merged states. */
  input(at: usize, bytes: u32): void {
    this.bytesIn = at;
    this.inBytes = bytes;
  }
  /** Where bytes out are: serializers, encoders, indexes, states. */
  output(at: usize, bytes: u32): void {
    this.bytesOut = at;
    this.outBytes = bytes;
  }

  private add(id: u16, type: u8, access: u8, at: usize, stride: usize): void {
    const entry = changetype<usize>(this) + 32 + (<usize>this.columns) * 16;
    store<u16>(entry, id);
    store<u8>(entry, type, 2);
    store<u8>(entry, access, 3);
    store<u32>(entry, <u32>at, 4);
    store<u32>(entry, <u32>stride, 8);
    store<u32>(entry, 0, 12);
    this.columns++;
  }
}

/** What tw_frame writes to bytes out: static memory of BYTES bytes. */
@unmanaged
export class Frame {
  static readonly BYTES: i32 = 40;

  /** Of the first message. */
  sequence: u64;
  /** Messages. */
  count: u32;
  /** 0 messages, 1 heartbeat, 2 end of session, 3 beside the sequence. */
  kind: u32;
  /** Where the messages begin. */
  at: u32;
  zero: u32;
  /** Ten bytes, of which these are the first eight and the last two. */
  session: u64;
  sessionEnd: u16;
}

let said: string = "";

/** Keeps an error's text for the host and gives the negative number to return. The text is a literal of ASCII, of which 256 characters are told. */
export function fail(text: string): i32 {
  said = text;
  return -1;
}

const saidBytes = memory.data(256);

/** Exported by plugins that fail with words: export { tw_abi, tw_error } from "./tickwire". */
export function tw_error(): i64 {
  const n = min(said.length, 256);
  for (let i = 0; i < n; i++) store<u8>(saidBytes + <usize>i, <u8>said.charCodeAt(i));
  return (<i64>saidBytes << 32) | n;
}

// Bytes out: each returns where it ended.

/** A literal of ASCII. */
export function put(to: usize, text: string): usize {
  for (let i = 0; i < text.length; i++) store<u8>(to++, <u8>text.charCodeAt(i));
  return to;
}

/** Digits, 20 at most. */
export function putU64(to: usize, v: u64): usize {
  let n = 1;
  for (let rest = v / 10; rest > 0; rest /= 10) n++;
  for (let i = n - 1; i >= 0; i--) {
    store<u8>(to + <usize>i, <u8>(0x30 + (v % 10)));
    v /= 10;
  }
  return to + <usize>n;
}

/** A price as a decimal number with nine decimals, 21 bytes at most. */
export function putPrice(to: usize, px: i64): usize {
  if (px < 0) store<u8>(to++, 0x2d);
  const v = px < 0 ? 0 - <u64>px : <u64>px;
  to = putU64(to, v / 1000000000);
  store<u8>(to++, 0x2e);
  for (let unit: u64 = 100000000; unit > 0; unit /= 10) store<u8>(to++, <u8>(0x30 + ((v / unit) % 10)));
  return to;
}

// What the host gives, imported when used. Texts are bytes in memory, such as memory.data<u8>([…]). plugins/ABI.md, Imports, says what each does.

// @ts-ignore: decorator
@external("tickwire", "log")
export declare function log(level: i32, text: usize, len: i32): void;
// @ts-ignore: decorator
@external("tickwire", "config")
export declare function config(key: usize, len: i32, to: usize, room: i32): i32;
// @ts-ignore: decorator
@external("tickwire", "metric")
export declare function metric(key: usize, len: i32, add: i64): void;
// @ts-ignore: decorator
@external("tickwire", "now")
export declare function now(): i64;
// @ts-ignore: decorator
@external("tickwire", "lookup")
export declare function lookup(instrument: i32, to: usize, room: i32): i32;
// @ts-ignore: decorator
@external("tickwire", "define")
export declare function define(instrument: i32, symbol: usize, len: i32): i32;

/** Where a parameter's value begins in the JSON of tw_init, 0: it is not there. A key stands behind { or , and no text within the JSON can, since a quote within
 *  a text has a backslash before it. */
function find(at: usize, len: i32, key: string): usize {
  const end = at + <usize>len;
  for (let p = at; p + 3 < end; p++) {
    const c = load<u8>(p);
    if ((c != 0x7b && c != 0x2c) || load<u8>(p, 1) != 0x22) continue;
    let i = 0;
    while (i < key.length && p + 2 + <usize>i < end && load<u8>(p + 2 + <usize>i) == <u8>key.charCodeAt(i)) i++;
    const q = p + 2 + <usize>i;
    if (i == key.length && q + 2 < end && load<u8>(q) == 0x22 && load<u8>(q, 1) == 0x3a) return q + 2;
  }
  return 0;
}

/** A parameter of type i64 or price (in 1e-9), none if it is not there. */
export function paramI64(params: usize, len: i32, key: string, none: i64): i64 {
  let p = find(params, len, key);
  if (p == 0) return none;
  const end = params + <usize>len;
  const negative = load<u8>(p) == 0x2d;
  if (negative) p++;
  let v: u64 = 0;
  for (; p < end && load<u8>(p) >= 0x30 && load<u8>(p) <= 0x39; p++) v = v * 10 + <u64>(load<u8>(p) - 0x30);
  return negative ? -(<i64>v) : <i64>v;
}

/** A parameter of type bool. */
export function paramBool(params: usize, len: i32, key: string): bool {
  const p = find(params, len, key);
  return p != 0 && load<u8>(p) == 0x74;
}
