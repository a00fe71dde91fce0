/*
 * fiber_switch() and fiber_enter() for x86-64, System V ABI: see fiber-switch.h.
 *
 * A switch leaves by a jump, which the processor predicts from where it went before; a return would be predicted from the
 * call that led here, which is always wrong.
 *
 * Marked for indirect branch tracking, but not for shadow stacks: a switch leaves through a return
 * address that its own call did not push, which a shadow stack is there to forbid.
 */
#ifdef __x86_64__

#ifdef __CET__
#define ENDBR endbr64
#define NOTRACK notrack
#else
#define ENDBR
#define NOTRACK
#endif

	.text

	.macro SAVE
	pushq %rbp
	.cfi_adjust_cfa_offset 8
	pushq %rbx
	.cfi_adjust_cfa_offset 8
	pushq %r12
	.cfi_adjust_cfa_offset 8
	pushq %r13
	.cfi_adjust_cfa_offset 8
	pushq %r14
	.cfi_adjust_cfa_offset 8
	pushq %r15
	.cfi_adjust_cfa_offset 8
	movq %rsp, (%rdi)
	.endm

	.macro RESTORE
	popq %r15
	popq %r14
	popq %r13
	popq %r12
	popq %rbx
	popq %rbp
	.endm

	.globl fiber_switch
	.hidden fiber_switch
	.type fiber_switch, @function
	.p2align 4
fiber_switch:
	.cfi_startproc
	ENDBR
	SAVE
	movq %rsi, %rsp
	RESTORE
	popq %rcx
	NOTRACK jmp *%rcx
	.cfi_endproc
	.size fiber_switch, . - fiber_switch

	.globl fiber_enter
	.hidden fiber_enter
	.type fiber_enter, @function
	.p2align 4
fiber_enter:
	.cfi_startproc
	ENDBR
	SAVE
	.cfi_undefined rip
	movq %rsi, %rsp
	movq %rcx, %rdi
	xorl %ebp, %ebp
	call *%rdx
	movq %rax, %rsp
	RESTORE
	ret
	.cfi_endproc
	.size fiber_enter, . - fiber_enter

#ifdef __CET__
	.section .note.gnu.property, "a"
	.p2align 3
	.long 4, 16, 5
	.asciz "GNU"
	.long 0xc0000002, 4, 1, 0
#endif

#endif
	.section .note.GNU-stack, "", @progbits
