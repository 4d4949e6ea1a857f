/* board.c - ATtiny85, whose two timers of 8 bits count nothing as long as an image; the rest is
 * cores/avr.c. What an image takes, the simulator tells.
 * SPDX-License-Identifier: 0BSD
 */
#include "board.h"

void board_start_count(void)
{
}

uint32_t board_count(void)
{
    return 0;
}
