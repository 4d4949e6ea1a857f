/* fpgaio.h - the counter of Arm's MPS2 and MPS3 boards, as QEMU has it: what their board.c share. Each
 * says where FPGAIO_COUNTER is, and of how many nanoseconds a tick is, TICK_NS.
 * SPDX-License-Identifier: 0BSD
 *
 * With `-icount shift=10` an instruction takes 1024 ns.
 */
#include "board.h"

static uint32_t start;

void board_start_count(void)
{
    start = FPGAIO_COUNTER;
}

uint32_t board_count(void)
{
    uint32_t ticks = FPGAIO_COUNTER - start;
    return (uint32_t)(((uint64_t)ticks * TICK_NS + 512) / 1024);
}
