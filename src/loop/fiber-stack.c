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

bool fiber_stack_create(struct fiber *f)
{
	char *map = mmap(NULL, GUARD_SIZE + STACK_SIZE, PROT_NONE,
	                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
	if (map == MAP_FAILED)
		return false;
	if (mprotect(map + GUARD_SIZE, STACK_SIZE, PROT_READ | PROT_WRITE) != 0) {
		munmap(map, GUARD_SIZE + STACK_SIZE);
		return false;
	}
	f->stack = map + GUARD_SIZE;
	f->stack_size = STACK_SIZE;
	sanitizer_create(f);
	return true;
}

void fiber_stack_destroy(struct fiber *f)
{
	sanitizer_destroy(f);
	munmap((char *)f->stack - GUARD_SIZE, GUARD_SIZE + STACK_SIZE);
	f->stack = NULL;
}
