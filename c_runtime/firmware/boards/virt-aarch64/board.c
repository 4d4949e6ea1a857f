/* board.c - QEMU's AArch64 machine "virt".
 * SPDX-License-Identifier: 0BSD
 *
 * The generic timer ticks every 16 ns; with `-icount shift=4` so long takes an instruction.
 */
#include "board.h"

static uint32_t start;

static uint32_t ticks(void)
{
    uint64_t count;
    __asm__ volatile("isb\n mrs %0, cntvct_el0" : "=r"(count));
    return (uint32_t)count;
}

void board_start_count(void)
{
    start = ticks();
}

uint32_t board_count(void)
{
    return ticks() - start;
}
