/* record.h - what main.c and sketch.c share: the record's numbers, the measuring of the stack and of a
 * self-test.
 * SPDX-License-Identifier: 0BSD
 */
#ifndef RECORD_H
#define RECORD_H

#include "lenet.h"

#include <stdint.h>

/* Appends a number to the output, lowest byte first. */
void write_number(uint32_t number);

/* Runs a self-test in steps, and appends how many there were, what they counted in all, what the
 * longest counted, and which it was, from 0. Each count is that of a call. Returns the result. */
lenet_self_test_result write_steps(lenet_workspace *ws);

/* What a result means, and what to do: a TEXT. */
const char *text_of(lenet_self_test_result result);

/* Fills the stack with a colour, up to its own frame, which what is measured surely overwrites. */
void paint(uint8_t colour);

/* How far below the top the stack has lost its colour, in bytes. */
uint32_t depth(uint8_t colour, const volatile uint8_t *top);

#endif
