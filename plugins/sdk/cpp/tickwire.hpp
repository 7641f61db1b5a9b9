// tickwire.hpp: what a plugin in C++ needs beside tickwire.h. No library, nothing from libc or the standard library; C++20.
//
//     #include "tickwire.hpp"
//
//     static tickwire::column<int64_t, 1024> price;                                      // the column
//     static constinit tickwire::layout rows(1024, price.both(TW_PRICE));                // what the host sees of it
//     TICKWIRE_UNITS(rows)                                                               // one layout for each of the manifest's kinds
//
//     int32_t tw_transform(int32_t unit, int32_t n)                                      // the call: n rows lie in the columns
//     {
//         for (int64_t &px : price.rows(n))
//             px *= 100;
//         return n;
//     }
//
// A function of the ABI is exported when it is defined, under its own name. plugins/ABI.md says what each gets and returns; a negative number is an error.
// Nothing runs before the first call, so statics are constants or zeros: one with a constructor that must run does not compile.
//
// Built with: clang++ --target=wasm32 -std=c++20 -O3 -nostdlib -mbulk-memory -fno-exceptions -fno-rtti -fno-threadsafe-statics -Werror=global-constructors
// -Wl,--no-entry -Wl,--strip-all  (tickwire plugin build does it)
#pragma once

#include "tickwire.h"

namespace tickwire {

// Numbers of types in a layout; texts are char[stride].
template <class T> inline constexpr uint8_t type_of = 0;
template <> inline constexpr uint8_t type_of<uint8_t> = 1;
template <> inline constexpr uint8_t type_of<uint16_t> = 2;
template <> inline constexpr uint8_t type_of<uint32_t> = 3;
template <> inline constexpr uint8_t type_of<uint64_t> = 4;
template <> inline constexpr uint8_t type_of<int32_t> = 5;
template <> inline constexpr uint8_t type_of<int64_t> = 6;
template <> inline constexpr uint8_t type_of<double> = 7;
template <size_t Stride> inline constexpr uint8_t type_of<char[Stride]> = 8;

// A column of rows.
template <class T, size_t Rows> struct alignas(64) column {
	static_assert(type_of<T> != 0, "a column holds uint8_t, uint16_t, uint32_t, uint64_t, int32_t, int64_t, double or char[stride]");
	static_assert(type_of<T> != 8 || (sizeof(T) % 8 == 0 && sizeof(T) >= 8 && sizeof(T) <= 256), "a text's stride is a multiple of 8, to 256");

	T row[Rows];

	T &operator[](int32_t i) { return row[i]; }

	struct span {
		T *from, *behind;
		T *begin() const { return from; }
		T *end() const { return behind; }
	};
	// The first n rows.
	span rows(int32_t n) { return {row, row + n}; }

	constexpr tw_column read(uint16_t id) const { return entry(id, 1); }
	constexpr tw_column write(uint16_t id) const { return entry(id, 2); }
	constexpr tw_column both(uint16_t id) const { return entry(id, 3); }

  private:
	constexpr tw_column entry(uint16_t id, uint8_t access) const { return {id, type_of<T>, access, row, sizeof(T), 0}; }
};

// Room for bytes in or out, and for what the host hands over once (TICKWIRE_ROOM).
template <size_t Bytes> using room = column<uint8_t, Bytes>;

// Room for values of the plugin's own in or out: states of groups, zones of an index. Of a struct without pointers and without constructors.
template <class T, size_t N> struct alignas(64) table {
	T row[N];

	T &operator[](int32_t i) { return row[i]; }
};

// A layout of columns, and bytes in and out where a kind has them.
template <size_t Columns> struct layout {
	uint32_t magic = 0x31505754, max_rows;
	const volatile void *in = nullptr;
	uint32_t in_bytes = 0;
	const volatile void *out = nullptr;
	uint32_t out_bytes = 0, columns = Columns, zero = 0;
	tw_column list[Columns];

	template <class... C> constexpr explicit layout(uint32_t rows, C... c) : max_rows(rows), list{c...} {}

	// Where bytes in are (parsers, decoders, indexes, merged states), and where bytes out (serializers, encoders, indexes, states): a room, a table or a struct.
	template <class Room> constexpr layout input(const Room &r) const
	{
		layout l = *this;
		l.in = &r;
		l.in_bytes = sizeof r;
		return l;
	}
	template <class Room> constexpr layout output(const Room &r) const
	{
		layout l = *this;
		l.out = &r;
		l.out_bytes = sizeof r;
		return l;
	}
};
template <class... C> layout(uint32_t, C...) -> layout<sizeof...(C)>;

// What tw_init gets.
struct params {
	const char *text;
	int32_t len;

	// Of type i64 or price (in 1e-9).
	int64_t i64(const char *key, int64_t none = 0) const { return tw_param_i64(text, len, key, none); }
	bool boolean(const char *key) const { return tw_param_bool(text, len, key) != 0; }
};

// Adds to a counter, plugin.<name>.<key>.
template <size_t N> inline void metric(const char (&key)[N], int64_t add = 1) { tw_metric(key, N - 1, add); }
template <size_t N> inline void log(int32_t level, const char (&text)[N]) { tw_log(level, text, N - 1); }

// The layout of a unit, of all.
template <class... L> inline struct ::tw_layout *pick(int32_t unit, L &...l)
{
	void *all[] = {&l...};
	return static_cast<struct ::tw_layout *>(static_cast<uint32_t>(unit) < sizeof...(L) ? all[unit] : nullptr);
}

} // namespace tickwire

// The layouts of the manifest's kinds, in order.
#define TICKWIRE_UNITS(...) \
	int32_t tw_abi(void) { return TW_ABI; } \
	struct tw_layout *tw_layout(int32_t unit) { return tickwire::pick(unit, __VA_ARGS__); }

// Room for parameters as JSON, or for the state to restore. For tw_init and tw_restore.
#define TICKWIRE_ROOM(bytes) \
	static tickwire::room<bytes> tickwire_room; \
	void *tw_alloc(uint32_t want) { return want <= sizeof tickwire_room.row ? tickwire_room.row : nullptr; }
