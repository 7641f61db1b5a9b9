/* Spreads rows over partitions by their symbol: FNV-1a of its bytes, mixed, modulo the number of partitions. */
#include "tickwire.h"

enum { STRIDE = 32 };

TW_TEXTS(symbol, 1024, STRIDE);
TW_COLUMN(uint64_t, key, 1024);
TW_LAYOUT(rows, 1024, TW_READ(TW_SYMBOL, symbol), TW_WRITE(TW_RESULT, key));
TW_UNITS(&rows)
TW_ROOM(1024)

static uint64_t partitions = 16;

int32_t tw_init(const char *params, int32_t len)
{
	partitions = (uint64_t)tw_param_i64(params, len, "partitions", 16);
	return 0;
}

int32_t tw_partition(int32_t unit, int32_t n)
{
	for (int32_t i = 0; i < n; i++) {
		uint64_t h = 14695981039346656037u;
		for (int b = 0; b < STRIDE && symbol[i][b]; b++)
			h = (h ^ (uint8_t)symbol[i][b]) * 1099511628211u;
		key[i] = (h ^ h >> 32) % partitions;
	}
	return n;
}
