/* board.h - what programs need of a board: bytes in and out, a counter, and where the stack lies.
 * SPDX-License-Identifier: 0BSD
 *
 * A board is one folder in boards/. Its start-up code sets up memory, calls main and ends the
 * program with the status that main returns.
 *
 * Conventions, for every function below:
 *   - Pointers must be valid and not null.
 *   - A failure of the input or of the output ends the program with status 2.
 */
#ifndef BOARD_H
#define BOARD_H

#include <stddef.h>
#include <stdint.h>

/* Opens the input and the output. Returns 1, or 0 if the program was started without them.
 *
 * argc and argv are those of main; on a board without an operating system they say nothing. */
int board_open(int argc, char **argv);

/* Reads the next bytes of the input. Returns how many: less than size only where it ends. */
size_t board_read(uint8_t *bytes, size_t size);

/* Appends bytes to the output. */
void board_write(const uint8_t *bytes, size_t size);

/* Text for board_print. On an AVR it stays in flash, where other text takes RAM. */
#ifdef __AVR__
#include <avr/pgmspace.h>
#define TEXT(text) PSTR(text)
#else
#define TEXT(text) (text)
#endif

/* Writes a TEXT to the console; on a board with one line only, that is the output. */
void board_print(const char *text);

/* Starts the counter from 0, and reads it.
 *
 * On an emulated board it counts instructions, on an AVR clock cycles, both exactly; on the host it
 * stays 0. The two calls count a little themselves, always the same: subtract what a
 * measurement of nothing gives. Up to 60 million can be counted. */
void board_start_count(void);
uint32_t board_count(void);

/* Takes exactly 8 * loops counts more than an empty function, to prove the counter; loops > 0. */
void board_loop(uint32_t loops);

/* The lowest address that the stack may use, and the lowest that the caller's frame uses: between
 * the two lies the free stack. Both are null on the host, where the stack is not known. */
uint8_t *board_stack_limit(void);
uint8_t *board_stack_pointer(void);

#endif
