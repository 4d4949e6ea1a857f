/* given.h - the pictures that picture.c and amount.c are given: one after the other, of each
 * u16 rows and u16 columns, lowest byte first, and so many bytes.
 * SPDX-License-Identifier: 0BSD
 */
#ifndef GIVEN_H
#define GIVEN_H

#include <stddef.h>
#include <stdint.h>

typedef enum { GIVEN_END, GIVEN_PICTURE, GIVEN_NONE } given;

/* Reads the next picture: its rows follow each other without a gap in pixels, which has room for `size`
 * bytes. Returns GIVEN_END where the input ends, GIVEN_NONE if it ends within the picture or that is too
 * large. */
given read_given(uint8_t *pixels, size_t size, int *rows, int *columns);

#endif
