/* board.c - ATmega2560: timers 1 and 3 are the counter; the rest is cores/avr.c.
 * SPDX-License-Identifier: 0BSD
 */
#include "board.h"

#include <avr/io.h>

/* Timer 1 counts cycles, modulo 65,536; timer 3 counts 1,024 of them, roughly: it starts a few
 * cycles earlier and is read a few later. */
void board_start_count(void)
{
    TCCR1B = 0;
    TCCR3B = 0;
    TCNT1 = 0;
    TCNT3 = 0;
    TCCR3B = _BV(CS32) | _BV(CS30);
    TCCR1B = _BV(CS10);
}

uint32_t board_count(void)
{
    uint16_t fine = TCNT1;
    uint32_t coarse = (uint32_t)TCNT3 * 1024;
    /* The number next to coarse that is fine, modulo 65,536. */
    int16_t error = (int16_t)(fine - (uint16_t)coarse);
    return coarse + (uint32_t)(int32_t)error;
}
