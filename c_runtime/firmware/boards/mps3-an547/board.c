/* board.c - Arm MPS3 with the FPGA image AN547 (Cortex-M55), in QEMU.
 * SPDX-License-Identifier: 0BSD
 *
 * With `-icount shift=10` an instruction takes 1024 ns; the counter ticks every 50 ns.
 */
#include "board.h"

#define FPGAIO_COUNTER (*(volatile uint32_t *)0x49302018)

static uint32_t start;

void board_start_count(void)
{
    start = FPGAIO_COUNTER;
}

uint32_t board_count(void)
{
    uint32_t ticks = FPGAIO_COUNTER - start;
    return (uint32_t)(((uint64_t)ticks * 50 + 512) / 1024);
}
