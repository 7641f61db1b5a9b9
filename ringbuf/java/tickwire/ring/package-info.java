/**
 * Reads tickwire's shared-memory rings: one producer, any number of readers, none of which can slow it down.
 *
 * <pre>{@code
 *     writer of record k, in slot k mod N       reader
 *     1. slot.number = k-1   (mark)             1. slot.number == k ?   acquire; less: not yet, more: lapped
 *     2. release fence                          2. copy the payload, word by word
 *     3. payload                                3. acquire fence
 *     4. slot.number = k     (release)          4. slot.number == k ?   else the copy is void
 * }</pre>
 *
 * Java 17 and later, the standard library alone: no Unsafe, no preview features, no native code. 64-bit little-endian
 * Linux. The layout of the files is in {@code ringbuf/ABI.md}; the C header {@code ringbuf/c/tickring.h} has the same functions.
 *
 * <p>Java has no unsigned 64-bit type: record numbers, times and order ids are {@code long} with the same bits; compare
 * numbers by their difference and print them by {@link Long#toUnsignedString(long)}.
 */
package tickwire.ring;
