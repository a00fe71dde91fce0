/*
 * The context switch: the only part of fibers that depends on the machine. x86-64 and arm64 have it
 * in assembly (fiber-x86_64.S, fiber-aarch64.S), everything else in fiber-ucontext.c.
 *
 * A context is a pointer to what the switch saved, on the saved stack: the callee-saved registers
 * and where to go on. Floating-point control words are not saved: nothing here changes them.
 */
#ifndef LOOP_FIBER_SWITCH_H
#define LOOP_FIBER_SWITCH_H

/* fiber_switch() - saves the running context in *from and goes on with to. */
void fiber_switch(void **from, void *to);

/*
 * fiber_enter() - saves the running context in *from and calls entry(arg) on the stack that ends at
 * stack_top (16-aligned). When entry returns, the context that it returns goes on. A fiber that never
 * parks is so a call and a return that the processor's return predictor sees through; one that did ends by a last fiber_switch().
 */
void fiber_enter(void **from, void *stack_top, void *(*entry)(void *arg), void *arg);

#endif
