/* avr.S - what C cannot say on an AVR.
 * SPDX-License-Identifier: 0BSD
 */
    .text

/* Eight cycles a loop: brne takes two where it branches, and where it does not, the nop after it
 * is the second. */
    .global board_loop
board_loop:
    nop
    nop
    subi r22, 1
    sbci r23, 0
    sbci r24, 0
    sbci r25, 0
    brne board_loop
    nop
    ret
