/* riscv.S - start-up, and what C cannot say on a 32-bit RISC-V.
 * SPDX-License-Identifier: 0BSD
 */
    .section .start, "ax"
    .global start
start:
    .option push
    .option norelax
    la gp, __global_pointer$
    .option pop
    la sp, stack_top
    la t0, fault
    csrw mtvec, t0
    la t0, bss_start
    la t1, bss_end
1:  bgeu t0, t1, 2f
    sw zero, 0(t0)
    addi t0, t0, 4
    j 1b
2:  li a0, 0
    li a1, 0
    call main
    tail semihosting_exit

    .text
    .balign 4
fault:
    la a0, message
    call board_print
    li a0, 2
    tail semihosting_exit
message:
    .string "fault: the processor met an instruction or address that it cannot use\n"

/* The three instructions that a debugger knows, uncompressed and in one page. */
    .global semihosting
    .balign 16
semihosting:
    .option push
    .option norvc
    slli zero, zero, 0x1F
    ebreak
    srai zero, zero, 7
    .option pop
    ret

    .global board_stack_pointer
board_stack_pointer:
    mv a0, sp
    ret

    .global board_stack_limit
board_stack_limit:
    la a0, stack_limit
    ret

/* Eight instructions a loop. */
    .global board_loop
board_loop:
    nop
    nop
    nop
    nop
    nop
    nop
    addi a0, a0, -1
    bnez a0, board_loop
    ret
