/* board.c - Arduino Uno, ATmega328P: timers 0, 1 and 2 are the counter; the rest is cores/avr.c.
 * SPDX-License-Identifier: 0BSD
 */
#include "board.h"

#include <avr/io.h>

/* Timer 0 counts cycles, modulo 256; timer 2 counts 8 of them, modulo 2,048 cycles; timer 1 counts
 * 1,024. Each starts and is read a few cycles from the others. */
void board_start_count(void)
{
    TCCR0B = 0;
    TCCR1B = 0;
    TCCR2B = 0;
    TCNT0 = 0;
    TCNT1 = 0;
    TCNT2 = 0;
    TCCR1B = _BV(CS12) | _BV(CS10);
    TCCR2B = _BV(CS21);
    TCCR0B = _BV(CS00);
}

/* The number next to `near` that is `count`, modulo 2^bits. */
static uint32_t refined(uint32_t near, uint16_t count, uint8_t bits)
{
    uint8_t rest = (uint8_t)(16 - bits);
    int16_t error = (int16_t)((uint16_t)(count - (uint16_t)near) << rest);
    return near + (uint32_t)(int32_t)(error >> rest);
}

uint32_t board_count(void)
{
    uint8_t fine = TCNT0;
    uint8_t middle = TCNT2;
    uint32_t coarse = (uint32_t)TCNT1 * 1024 + 512;
    return refined(refined(coarse, (uint16_t)(middle * 8 + 4), 11), fine, 8);
}
