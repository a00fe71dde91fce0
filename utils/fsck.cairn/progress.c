/* One line that overwrites itself: the phase, how far it is, how fast, and how long it may take yet. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "utils/fsck.cairn/fsck-cairn.h"

#define PERIOD_MS 250

static struct {
	const char *phase;
	uint64_t began_ms, shown_ms;
	bool shown;
} now;

static uint64_t clock_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void print_line(uint64_t ms, uint64_t done, uint64_t total)
{
	double rate = (double)done * 1000 / (double)MAX(ms - now.began_ms, (uint64_t)1);
	double left = rate > 0 ? (double)(total - MIN(done, total)) / rate : 0;
	fprintf(stderr, "\r%-12s %3.0f %%, %.0f/s, %.0f s left \033[K", now.phase,
	        total ? 100.0 * (double)done / (double)total : 100.0, rate, left);
	fflush(stderr);
	now.shown = true;
}

void progress_show(void *arg, const char *phase, uint64_t done, uint64_t total)
{
	uint64_t ms = clock_ms();
	(void)arg;
	if (!now.phase || strcmp(now.phase, phase) != 0) {
		now.phase = phase;
		now.began_ms = now.shown_ms = ms;
	}
	if (ms - now.shown_ms < PERIOD_MS)
		return;
	now.shown_ms = ms;
	print_line(ms, done, total);
}

void progress_end(void)
{
	if (now.shown)
		fputs("\r\033[K", stderr);
	now.shown = false;
}
