/* A reader in C that is seen: joins a ring, reads so many records, says so, and waits to be told to go, or to be killed.
 *
 *     progress RING NAME COUNT
 */
#include "tickring.h"

#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
	static unsigned char recs[64 * 504];
	tw_ring ring;
	tw_progress progress;
	uint64_t first;
	int err, n, left;
	if (argc != 4)
		return 2;
	left = atoi(argv[3]);
	err = tw_ring_open(&ring, argv[1]);
	if (err == 0)
		err = tw_ring_join(&ring, TW_JOIN_OLDEST);
	if (err == 0)
		err = tw_progress_open(&progress, &ring, argv[1], argv[2]);
	if (err != 0) {
		printf("%s\n", tw_strerror(err));
		return 1;
	}
	while (left > 0) {
		n = tw_ring_poll_batch(&ring, recs, left < 64 ? left : 64, &first);
		if (n > 0)
			left -= n;
	}
	tw_progress_update(&progress, &ring);
	printf("reading\n");
	fflush(stdout);
	(void)getchar();
	tw_progress_close(&progress);
	tw_ring_close(&ring);
	return 0;
}
