/*
 * The functions of tickring.h under names that a shared library exports, for ctypes. Built by build.py; nothing of Python
 * is in it, so it serves every interpreter of the machine.
 */
#include "tickring.h"

#include <stdlib.h>

#define EXPORT __attribute__((visibility("default")))

/* A reader on the heap; NULL with *err set. */
EXPORT tw_ring *twp_open(const char *path, int join, int *err, int *why)
{
	tw_ring *r = (tw_ring *)malloc(sizeof *r);
	if (r == NULL) {
		*err = TW_E_MAP;
		*why = ENOMEM;
		return NULL;
	}
	errno = 0;
	*err = tw_ring_open(r, path);
	*why = errno;
	if (*err == 0 && join != TW_JOIN_LIVE) {
		*err = tw_ring_join(r, join);
		if (*err != 0)
			tw_ring_close(r);
	}
	if (*err != 0) {
		free(r);
		return NULL;
	}
	return r;
}

EXPORT void twp_close(tw_ring *r)
{
	tw_ring_close(r);
	free(r);
}

/* A ring that was closed is NULL here: said, not followed. */
#define CLOSED (-100)

EXPORT int twp_join(tw_ring *r, int mode) { return r == NULL ? CLOSED : tw_ring_join(r, mode); }
EXPORT int twp_seek(tw_ring *r, uint64_t seq) { return r == NULL ? CLOSED : tw_ring_seek(r, seq); }
EXPORT int twp_poll(tw_ring *r, void *rec) { return r == NULL ? CLOSED : tw_ring_poll(r, rec); }
EXPORT int twp_poll_batch(tw_ring *r, void *recs, int max) { return r == NULL ? CLOSED : tw_ring_poll_batch(r, recs, max, NULL); }
EXPORT int twp_wait(tw_ring *r, uint32_t timeout_us) { return r == NULL ? CLOSED : tw_ring_wait(r, timeout_us); }
EXPORT uint32_t twp_state(const tw_ring *r) { return r == NULL ? 0 : tw_ring_state(r); }
EXPORT uint32_t twp_stamps(const tw_ring *r) { return r == NULL ? 0 : tw_ring_stamps(r); }
EXPORT uint64_t twp_lag(const tw_ring *r) { return r == NULL ? 0 : tw_ring_lag(r); }
EXPORT int twp_alive(const tw_ring *r) { return r != NULL && tw_ring_alive(r); }
EXPORT const char *twp_strerror(int code) { return tw_strerror(code); }

/* The header page, for the fields that never change. */
EXPORT const void *twp_header(const tw_ring *r) { return r->base_; }

EXPORT tw_side *twp_inst_open(const char *path, int *err, int *why)
{
	tw_side *s = (tw_side *)malloc(sizeof *s);
	if (s == NULL) {
		*err = TW_E_MAP;
		*why = ENOMEM;
		return NULL;
	}
	errno = 0;
	*err = tw_inst_open(s, path);
	*why = errno;
	if (*err != 0) {
		free(s);
		return NULL;
	}
	return s;
}

EXPORT void twp_side_close(tw_side *s)
{
	tw_side_close(s);
	free(s);
}

EXPORT int twp_inst_lookup(const tw_side *s, uint16_t publisher, uint32_t instrument, tw_inst *out)
{
	return s == NULL ? CLOSED : tw_inst_lookup(s, publisher, instrument, out, NULL);
}

EXPORT int twp_inst_at(const tw_side *s, uint64_t index, tw_inst *out) { return s == NULL ? CLOSED : tw_inst_at(s, index, out); }

EXPORT int twp_inst_find(const tw_side *s, uint16_t publisher, const char *symbol, tw_inst *out)
{
	return s == NULL ? CLOSED : tw_inst_find(s, publisher, symbol, out);
}

EXPORT uint64_t twp_side_capacity(const tw_side *s) { return s == NULL ? 0 : tw_side_capacity(s); }
EXPORT uint64_t twp_side_generation(const tw_side *s) { return s == NULL ? 0 : tw_side_generation(s); }
EXPORT uint64_t twp_side_silence(const tw_side *s) { return s == NULL ? 0 : tw_side_silence(s); }
EXPORT uint64_t twp_inst_count(const tw_side *s) { return s == NULL ? 0 : tw_acquire64_(s->base_ + TW_SIDE_OFF_COUNT); }
EXPORT int twp_side_replaced(const tw_side *s) { return s != NULL && tw_side_replaced(s); }
