// What a plugin's script sees beside JavaScript itself, for editors. plugins/ABI.md says what the columns mean.

/** A column of numbers; i64, u64, prices and times are BigInts. Only the first n rows count. */
type Numbers = Uint8Array | Uint16Array | Uint32Array | Int32Array | BigInt64Array | BigUint64Array | Float64Array;

/** A column of texts: stride bytes each in bytes, the rest NUL. */
interface Texts {
  readonly bytes: Uint8Array;
  readonly stride: number;
  get(i: number): string;
  /** A text that is longer than stride is an error. */
  set(i: number, text: string): void;
  clear(i: number): void;
}

/** Columns of a batch by their names in the manifest: reads, writes, custom. */
type Columns = any;
/** Parameters by name: i64 and price are BigInts, f64 numbers, bool and string as they are. */
type Params = any;
type Handler = (n: number, columns: Columns, params: Params) => void;

declare const tickwire: {
  /** Verdicts: row_ctl. */
  readonly KEEP: 0;
  readonly REFUSE: 1;
  readonly FLAG: 2;
  /** No price. */
  readonly UNDEF_PRICE: bigint;
  /** Kinds of row. */
  readonly KIND: Readonly<Record<
    "ADD" | "EXEC" | "EXEC_AT" | "REDUCE" | "DELETE" | "REPLACE" | "TRADE" | "CROSS" | "BREAK" | "STATUS" | "IMBALANCE" | "DEFINITION" | "STATISTICS" | "EXT" | "SYSTEM"
    | "CLEAR" | "MODIFY" | "LEVEL" | "IMPLIED" | "FILL" | "QUOTE", number>>;

  /** Changes columns and fills custom ones. */
  transform(handler: Handler): void;
  /** Writes row_ctl and reason: rows not kept are counted for you. */
  validator(handler: Handler): void;
  /** A function of SQL: columns.args, columns.result and columns.result_null (1: NULL). */
  function(name: string, handler: Handler): void;
  /** Writes columns.key. */
  partition(name: string, handler: Handler): void;
};
