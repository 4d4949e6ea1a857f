/* board.c - Arm MPS2 with the FPGA images AN385 (Cortex-M3), AN386 (M4) and AN500 (M7), in QEMU.
 * SPDX-License-Identifier: 0BSD
 *
 * With `-icount shift=10` an instruction takes 1024 ns; the counter ticks every 40 ns.
 */
#include "board.h"

#define FPGAIO_COUNTER (*(volatile uint32_t *)0x40028018)

static uint32_t start;

void board_start_count(void)
{
    start = FPGAIO_COUNTER;
}

uint32_t board_count(void)
{
    uint32_t ticks = FPGAIO_COUNTER - start;
    return (uint32_t)(((uint64_t)ticks * 40 + 512) / 1024);
}
