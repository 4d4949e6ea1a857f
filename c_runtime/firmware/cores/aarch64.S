/* aarch64.S - start-up, and what C cannot say on a 64-bit Arm in EL1.
 * SPDX-License-Identifier: 0BSD
 */
    .section .start, "ax"
    .global start
start:
    adr x0, vectors
    msr vbar_el1, x0
    mov x0, #3 << 20 /* vectors and floats are not trapped */
    msr cpacr_el1, x0

    /* Without translation all memory is that of devices, where nothing may lie at odd addresses. One
     * entry of a table maps the gigabyte of RAM to itself. */
    adrp x0, memory_map
    msr ttbr0_el1, x0
    mov x0, #0xFF /* kind 0: ordinary memory, cached */
    msr mair_el1, x0
    ldr x0, =(25 | 1 << 8 | 1 << 10 | 3 << 12) /* addresses of 39 bits; the table is cached */
    msr tcr_el1, x0
    isb
    mrs x0, sctlr_el1
    mov x1, #(1 | 1 << 2 | 1 << 12) /* translation and caches */
    orr x0, x0, x1
    bic x0, x0, #2 /* no check of alignment */
    msr sctlr_el1, x0
    isb

    ldr x0, =stack_top
    mov sp, x0
    ldr x0, =bss_start
    ldr x1, =bss_end
1:  cmp x0, x1
    b.hs 2f
    str xzr, [x0], #8
    b 1b
2:  mov x0, #0
    mov x1, #0
    bl main
    b semihosting_exit

    .balign 2048
vectors:
    .rept 16
    b fault
    .balign 128
    .endr

    .text
fault:
    adr x0, message
    bl board_print
    mov x0, #2
    b semihosting_exit
message:
    .string "fault: the processor met an instruction or address that it cannot use\n"
    .balign 4

    .global semihosting
semihosting:
    hlt #0xF000
    ret

    .global board_stack_pointer
board_stack_pointer:
    mov x0, sp
    ret

    .global board_stack_limit
board_stack_limit:
    ldr x0, =stack_limit
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
    subs w0, w0, #1
    b.ne board_loop
    ret

    .data
    .balign 4096
memory_map:
    .quad 0
    .quad 0x40000000 | 1 | 3 << 8 | 1 << 10 /* a block; shared, and accessed */
    .fill 510, 8, 0
