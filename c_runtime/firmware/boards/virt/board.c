/* board.c - QEMU's RISC-V machine "virt".
 * SPDX-License-Identifier: 0BSD
 *
 * minstret counts instructions; so does QEMU's, with `-icount shift=0`.
 */
#include "board.h"

static uint32_t start;

static uint32_t instructions(void)
{
    uint32_t count;
    __asm__ volatile("csrr %0, minstret" : "=r"(count));
    return count;
}

void board_start_count(void)
{
    start = instructions();
}

uint32_t board_count(void)
{
    return instructions() - start;
}
