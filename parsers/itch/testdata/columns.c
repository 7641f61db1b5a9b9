/* The yardstick of BenchmarkDecode: ITCH 5.0 messages into the same columns by plain C, once with a switch on the type, once without a
 * branch on it: fields are loaded from where a table of the type says and masked. A seldom type gives the common columns only, which is
 * less than what is asked of the decoder.
 *
 *   columns <file of framed messages> <bytes of a chunk> <messages of a pass>
 *
 * reads a line, "s" (switch) or "t" (table), for each run over the file, and prints the ns of each chunk and the messages, a line a run. A
 * chunk ends with the message that its bytes end in. */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { ROWS = 4096, STAGGER = 192 };

static struct {
	uint64_t *ts, *seq, *order, *aux, *price, *size;
	uint32_t *inst;
	uint8_t *kind, *side, *sub;
} out;

static inline uint64_t be64(const uint8_t *p) { uint64_t v; memcpy(&v, p, 8); return __builtin_bswap64(v); }
static inline uint32_t be32(const uint8_t *p) { uint32_t v; memcpy(&v, p, 4); return __builtin_bswap32(v); }
static inline uint16_t be16(const uint8_t *p) { uint16_t v; memcpy(&v, p, 2); return __builtin_bswap16(v); }

/* Offsets of 4-byte fields are those of the four bytes; absent fields have mask 0. */
static struct type {
	uint8_t order, aux, size, price, side, sub, kind, len;
	uint32_t sizeMask, priceMask;
	uint64_t orderMask, auxMask, auxShift;
} types[256];
static uint8_t sides[256];
static uint64_t byType[256], shorts, unknown;

static void type(char t, uint8_t len, uint8_t kind, uint8_t order, uint8_t aux, uint8_t size, uint8_t price, uint8_t side, uint8_t sub)
{
	types[(uint8_t)t] = (struct type){ order, aux, size, price, side, sub, kind, len, size ? ~0u : 0, price ? ~0u : 0,
		order ? ~0ull : 0, aux ? ~0ull : 0, t == 'F' ? 32 : 0 };
}

static void tables(void)
{
	memset(sides, 'N', sizeof sides);
	sides['B'] = 'B', sides['S'] = 'A';
	type('A', 36, 1, 11, 0, 20, 32, 19, 0), type('F', 40, 1, 11, 36, 20, 32, 19, 0), type('E', 31, 2, 11, 23, 19, 0, 0, 0);
	type('C', 36, 3, 11, 23, 19, 32, 0, 31), type('X', 23, 4, 11, 0, 19, 0, 0, 0), type('D', 19, 5, 11, 0, 0, 0, 0, 0);
	type('U', 35, 6, 11, 19, 27, 31, 0, 0), type('P', 44, 7, 0, 36, 20, 32, 0, 0);
	static const struct { char t; uint8_t len; } cold[] = { { 'S', 12 }, { 'R', 39 }, { 'H', 25 }, { 'Y', 20 }, { 'L', 26 }, { 'V', 35 },
		{ 'W', 12 }, { 'K', 28 }, { 'J', 35 }, { 'h', 21 }, { 'Q', 40 }, { 'B', 19 }, { 'I', 50 }, { 'N', 20 }, { 'O', 48 } };
	for (size_t i = 0; i < sizeof cold / sizeof *cold; i++)
		type(cold[i].t, cold[i].len, 0, 0, 0, 0, 0, 0, 0);
}

static const uint64_t midnight = 1692676800000000000ull;

/* Both return where they stopped; the file has 64 bytes of zeros behind it. */
static const uint8_t *bySwitch(const uint8_t *p, const uint8_t *end, int max, uint64_t *seq)
{
	int i = 0;
	for (; i < max && p < end; ) {
		unsigned len = be16(p);
		const uint8_t *m = p + 2;
		p = m + len;
		uint64_t number = (*seq)++;
		if (len == 0)
			continue;
		byType[m[0]]++;
		if (len < types[m[0]].len || types[m[0]].len == 0) {
			types[m[0]].len ? shorts++ : unknown++;
			continue;
		}
		out.ts[i] = midnight + (be64(m + 3) & 0xffffffffffffull);
		out.inst[i] = be16(m + 1);
		out.seq[i] = number;
		out.kind[i] = types[m[0]].kind;
		switch (m[0]) {
		case 'A': case 'F':
			out.order[i] = be64(m + 11), out.side[i] = sides[m[19]], out.size[i] = be32(m + 20);
			out.price[i] = be32(m + 32) * 100000ull;
			out.aux[i] = 0;
			if (m[0] == 'F')
				out.aux[i] = m[36] | m[37] << 8 | m[38] << 16 | (uint64_t)m[39] << 24;
			break;
		case 'D': out.order[i] = be64(m + 11); break;
		case 'U':
			out.order[i] = be64(m + 11), out.aux[i] = be64(m + 19), out.size[i] = be32(m + 27), out.price[i] = be32(m + 31) * 100000ull;
			break;
		case 'E': out.order[i] = be64(m + 11), out.size[i] = be32(m + 19), out.aux[i] = be64(m + 23); break;
		case 'X': out.order[i] = be64(m + 11), out.size[i] = be32(m + 19); break;
		case 'C':
			out.order[i] = be64(m + 11), out.size[i] = be32(m + 19), out.aux[i] = be64(m + 23), out.sub[i] = m[31];
			out.price[i] = be32(m + 32) * 100000ull;
			break;
		case 'P':
			out.order[i] = 0, out.side[i] = 'N', out.size[i] = be32(m + 20), out.price[i] = be32(m + 32) * 100000ull, out.aux[i] = be64(m + 36);
			break;
		}
		i++;
	}
	return p;
}

static const uint8_t *byTable(const uint8_t *p, const uint8_t *end, int max, uint64_t *seq)
{
	int i = 0;
	for (; i < max && p < end; ) {
		unsigned len = be16(p);
		const uint8_t *m = p + 2;
		p = m + len;
		uint64_t number = (*seq)++;
		if (len == 0)
			continue;
		const struct type *t = &types[m[0]];
		byType[m[0]]++;
		if (__builtin_expect(len < t->len || t->len == 0, 0)) {
			t->len ? shorts++ : unknown++;
			continue;
		}
		out.ts[i] = midnight + (be64(m + 3) & 0xffffffffffffull);
		out.inst[i] = be16(m + 1);
		out.seq[i] = number;
		out.kind[i] = t->kind;
		out.order[i] = be64(m + t->order) & t->orderMask;
		uint64_t aux = be64(m + t->aux), f = __builtin_bswap64(aux) & 0xffffffff;
		out.aux[i] = (t->auxShift ? f : aux) & t->auxMask;
		out.size[i] = be32(m + t->size) & t->sizeMask;
		out.price[i] = (be32(m + t->price) & t->priceMask) * 100000ull;
		out.side[i] = sides[m[t->side]];
		out.sub[i] = m[t->sub];
		i++;
	}
	return p;
}

static uint64_t now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ull + t.tv_nsec;
}

int main(int argc, char **argv)
{
	struct stat st;
	int fd = argc == 4 ? open(argv[1], O_RDONLY) : -1;
	if (fd < 0 || fstat(fd, &st) != 0)
		return fprintf(stderr, "usage: columns <file> <chunk> <pass>\n"), 2;
	size_t size = st.st_size, chunk = strtoull(argv[2], 0, 10);
	int pass = atoi(argv[3]);
	uint8_t *day = mmap(0, size + 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	for (size_t n = 0; n < size; ) {
		ssize_t got = read(fd, day + n, size - n);
		if (got <= 0)
			return perror("columns: read"), 1;
		n += got;
	}
	uint8_t *cols = mmap(0, 4 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	cols += -(uintptr_t)cols & ((2 << 20) - 1);
	madvise(cols, 2 << 20, MADV_HUGEPAGE);
	void *column[10];
	for (int i = 0; i < 10; i++)
		column[i] = cols, cols += ROWS * 8 + STAGGER;
	out.ts = column[0], out.seq = column[1], out.order = column[2], out.aux = column[3], out.price = column[4], out.size = column[5];
	out.inst = column[6], out.kind = column[7], out.side = column[8], out.sub = column[9];
	tables();
	for (char line[16]; fgets(line, sizeof line, stdin); ) {
		uint64_t seq = 0;
		for (const uint8_t *p = day, *end = day + size; p < end; ) {
			const uint8_t *stop = chunk < (size_t)(end - p) ? p + chunk : end;
			uint64_t began = now();
			while (p < stop)
				p = line[0] == 's' ? bySwitch(p, stop, pass, &seq) : byTable(p, stop, pass, &seq);
			printf("%lu ", now() - began);
		}
		printf("%lu\n", seq);
		fflush(stdout);
	}
	return shorts + unknown != 0;
}
