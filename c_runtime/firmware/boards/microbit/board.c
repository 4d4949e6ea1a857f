/* board.c - BBC micro:bit (nRF51822, Cortex-M0), in QEMU.
 * SPDX-License-Identifier: 0BSD
 *
 * With `-icount shift=10` an instruction takes 1024 ns; the timer ticks at 16 MHz.
 */
#include "board.h"

#define TIMER0_START (*(volatile uint32_t *)0x40008000)
#define TIMER0_STOP (*(volatile uint32_t *)0x40008004)
#define TIMER0_CLEAR (*(volatile uint32_t *)0x4000800C)
#define TIMER0_CAPTURE0 (*(volatile uint32_t *)0x40008040)
#define TIMER0_BITMODE (*(volatile uint32_t *)0x40008508)
#define TIMER0_PRESCALER (*(volatile uint32_t *)0x40008510)
#define TIMER0_CC0 (*(volatile uint32_t *)0x40008540)

enum { BITMODE_32 = 3 };

void board_start_count(void)
{
    TIMER0_STOP = 1;
    TIMER0_BITMODE = BITMODE_32;
    TIMER0_PRESCALER = 0;
    TIMER0_CLEAR = 1;
    TIMER0_START = 1;
}

uint32_t board_count(void)
{
    TIMER0_CAPTURE0 = 1;
    return (uint32_t)(((uint64_t)TIMER0_CC0 * 1000 + 8192) / 16384);
}
