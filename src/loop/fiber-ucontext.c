/*
 * The portable context switch, by ucontext: two system calls dearer than the assembly, for machines
 * that have none of ours and for comparing against it (--enable-ucontext).
 *
 * A context here is the ucontext_t itself, in the frame of the call that saved it.
 */
#include "loop/fiber-switch.h"

#include <stddef.h>
#include <stdint.h>
#include <ucontext.h>

/* makecontext() only wants to find the top; the real bound is the guard page. */
#define STACK_SIZE 16384

struct entry_args {
	void *(*entry)(void *arg);
	void *arg;
};

/* makecontext() passes ints: a pointer travels in two halves. */
static void start(unsigned int high, unsigned int low)
{
	struct entry_args *args = (struct entry_args *)(((uintptr_t)high << 16 << 16) | low);
	void *next = args->entry(args->arg);
	setcontext(next);
}

void fiber_switch(void **from, void *to)
{
	ucontext_t here;
	*from = &here;
	swapcontext(&here, to);
}

void fiber_enter(void **from, void *stack_top, void *(*entry)(void *arg), void *arg)
{
	ucontext_t here, there;
	struct entry_args args = {entry, arg};
	uintptr_t p = (uintptr_t)&args;

	*from = &here;
	getcontext(&there);
	there.uc_stack.ss_size = STACK_SIZE;
	there.uc_stack.ss_sp = (char *)stack_top - STACK_SIZE;
	there.uc_link = NULL;
	makecontext(&there, (void (*)(void))start, 2, (unsigned int)(p >> 16 >> 16), (unsigned int)p);
	swapcontext(&here, &there);
}
