/*
 * fiber_switch() and fiber_enter() for arm64, AAPCS64: see fiber-switch.h. Saved are x19-x30 and the
 * low halves of v8-v15. Entry points carry BTI landing pads; return addresses are not signed, so the
 * object claims BTI only.
 */
#ifdef __aarch64__

	.text

	.macro SAVE
	sub sp, sp, #160
	.cfi_adjust_cfa_offset 160
	stp x19, x20, [sp, #0]
	stp x21, x22, [sp, #16]
	stp x23, x24, [sp, #32]
	stp x25, x26, [sp, #48]
	stp x27, x28, [sp, #64]
	stp x29, x30, [sp, #80]
	stp d8, d9, [sp, #96]
	stp d10, d11, [sp, #112]
	stp d12, d13, [sp, #128]
	stp d14, d15, [sp, #144]
	mov x9, sp
	str x9, [x0]
	.endm

	.macro RESTORE from
	mov sp, \from
	ldp x19, x20, [sp, #0]
	ldp x21, x22, [sp, #16]
	ldp x23, x24, [sp, #32]
	ldp x25, x26, [sp, #48]
	ldp x27, x28, [sp, #64]
	ldp x29, x30, [sp, #80]
	ldp d8, d9, [sp, #96]
	ldp d10, d11, [sp, #112]
	ldp d12, d13, [sp, #128]
	ldp d14, d15, [sp, #144]
	add sp, sp, #160
	ret
	.endm

	.globl fiber_switch
	.hidden fiber_switch
	.type fiber_switch, %function
	.p2align 4
fiber_switch:
	.cfi_startproc
	hint #34
	SAVE
	RESTORE x1
	.cfi_endproc
	.size fiber_switch, . - fiber_switch

	.globl fiber_enter
	.hidden fiber_enter
	.type fiber_enter, %function
	.p2align 4
fiber_enter:
	.cfi_startproc
	hint #34
	SAVE
	.cfi_undefined x30
	mov sp, x1
	mov x0, x3
	mov x29, xzr
	mov x30, xzr
	blr x2
	RESTORE x0
	.cfi_endproc
	.size fiber_enter, . - fiber_enter

	.section .note.gnu.property, "a"
	.p2align 3
	.word 4, 16, 5
	.asciz "GNU"
	.word 0xc0000000, 4, 1, 0

#endif
	.section .note.GNU-stack, "", %progbits
