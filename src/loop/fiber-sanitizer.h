/*
 * Telling AddressSanitizer and ThreadSanitizer about stack switches. Without them, nothing.
 */
#ifndef LOOP_FIBER_SANITIZER_H
#define LOOP_FIBER_SANITIZER_H

#include "loop/fiber-impl.h"

#if defined(__SANITIZE_ADDRESS__)
#define FIBER_ASAN 1
#elif defined(__SANITIZE_THREAD__)
#define FIBER_TSAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FIBER_ASAN 1
#elif __has_feature(thread_sanitizer)
#define FIBER_TSAN 1
#endif
#endif

#ifdef FIBER_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#include <sanitizer/lsan_interface.h>
#endif
#ifdef FIBER_TSAN
#include <sanitizer/tsan_interface.h>
#endif

/* For functions that begin on one fiber and return on another: their calls and returns must not be counted. */
#define SANITIZER_BRIDGE __attribute__((no_sanitize("thread")))

/* sanitizer_leave() - about to go from one fiber to another; ends: from will never run again. */
SANITIZER_BRIDGE static inline void sanitizer_leave(struct fiber *from, struct fiber *to, bool ends)
{
#ifdef FIBER_ASAN
	__sanitizer_start_switch_fiber(ends ? NULL : &from->asan_fake, to->stack, to->stack_size);
	/* Freed with the switch: the next fiber on this stack starts without one. */
	if (ends)
		from->asan_fake = NULL;
#endif
#ifdef FIBER_TSAN
	__tsan_switch_to_fiber(to->tsan_fiber, 0);
#endif
}

/* sanitizer_arrive() - self runs again, or first. The bounds of the thread's own stack are learnt here. */
SANITIZER_BRIDGE static inline void sanitizer_arrive(struct fiber *self, struct fiber *root)
{
#ifdef FIBER_ASAN
	const void *bottom;
	size_t size;
	__sanitizer_finish_switch_fiber(self->asan_fake, &bottom, &size);
	if (self->caller == root && !root->stack) {
		root->stack = (void *)bottom;
		root->stack_size = size;
	}
#endif
}

static inline void sanitizer_create(struct fiber *f)
{
#ifdef FIBER_ASAN
	f->asan_fake = NULL;
	__lsan_register_root_region(f->stack, f->stack_size);
#endif
#ifdef FIBER_TSAN
	f->tsan_fiber = __tsan_create_fiber(0);
#endif
}

static inline void sanitizer_destroy(struct fiber *f)
{
#ifdef FIBER_ASAN
	__lsan_unregister_root_region(f->stack, f->stack_size);
	/* Frames that were left for good are still marked, and the memory will be somebody else's. */
	__asan_unpoison_memory_region(f->stack, f->stack_size);
#endif
#ifdef FIBER_TSAN
	__tsan_destroy_fiber(f->tsan_fiber);
#endif
}

static inline void sanitizer_adopt_thread(struct fiber *root)
{
#ifdef FIBER_ASAN
	root->stack = NULL;
#endif
#ifdef FIBER_TSAN
	root->tsan_fiber = __tsan_get_current_fiber();
#endif
}

#endif
