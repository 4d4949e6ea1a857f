/* arm.S - what C cannot say on a Cortex-M, in the instructions that all of them have.
 * SPDX-License-Identifier: 0BSD
 */
    .syntax unified
    .thumb
    .text

    .global semihosting
    .type semihosting, %function
semihosting:
    bkpt 0xAB
    bx lr

    .global board_stack_pointer
    .type board_stack_pointer, %function
board_stack_pointer:
    mov r0, sp
    bx lr

/* Eight instructions a loop. */
    .global board_loop
    .type board_loop, %function
board_loop:
    nop
    nop
    nop
    nop
    nop
    nop
    subs r0, r0, #1
    bne board_loop
    bx lr
