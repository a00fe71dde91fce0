/*
 * Stacks of fibers: 64 KiB of lazily touched memory above a guard page. Sanitizers make frames several
 * times larger, so they get more.
 */
#include <sys/mman.h>

#include "loop/fiber-sanitizer.h"

#if defined(FIBER_ASAN) || defined(FIBER_TSAN)
#define STACK_SIZE (512 * 1024)
#else
#define STACK_SIZE (64 * 1024)
#endif
/* A whole number of pages whatever the page size. */
#define GUARD_SIZE (64 * 1024)
#define MAP_SIZE (GUARD_SIZE + STACK_SIZE)

/*
 * Fibers of one kind have the same frames: were all tops at the same place of a page, the parked ones would fight
 * for a few sets of the cache. So the tops of neighbouring stacks are some lines apart.
 */
#define COLORS 64u
#define COLOR_STEP 11u

static size_t color_of(const char *map)
{
	return (uintptr_t)map / MAP_SIZE * COLOR_STEP % COLORS * CACHE_LINE;
}

bool fiber_stack_create(struct fiber *f)
{
	char *map = mmap(NULL, MAP_SIZE, PROT_NONE,
	                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
	if (map == MAP_FAILED)
		return false;
	if (mprotect(map + GUARD_SIZE, STACK_SIZE, PROT_READ | PROT_WRITE) != 0) {
		munmap(map, MAP_SIZE);
		return false;
	}
	f->stack = map + GUARD_SIZE;
	f->stack_size = STACK_SIZE - color_of(map);
	sanitizer_create(f);
	return true;
}

void fiber_stack_destroy(struct fiber *f)
{
	sanitizer_destroy(f);
	munmap((char *)f->stack - GUARD_SIZE, MAP_SIZE);
	f->stack = NULL;
}
