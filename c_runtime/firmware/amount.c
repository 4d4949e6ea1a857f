/* amount.c - reads lines of digits on a board, with C that was exported with --with amount.
 * SPDX-License-Identifier: 0BSD
 *
 * Input: pictures of lines (see given.h), each of at most LINE_BYTES. Output, all numbers lowest byte
 * first:
 *
 *     for each line   u8[16]   its digits, and zeros
 *                     u32[3]   verdict, readings, score
 *
 * Exit status: 0, or 2 if the input ends within a line or one is too large.
 */
#include "board.h"
#include "given.h"
#include "lenet.h"
#include "record.h"

enum { LINE_BYTES = 28672, TEXT_BYTES = 16 };

static lenet_line ws;
static uint8_t pixels[LINE_BYTES];

int main(int argc, char **argv)
{
    if (!board_open(argc, argv)) {
        board_print(TEXT("give lines and a file for what is read in them\n"));
        return 2;
    }
    int rows, columns;
    given next;
    while ((next = read_given(pixels, sizeof pixels, &rows, &columns)) == GIVEN_PICTURE) {
        uint8_t text[TEXT_BYTES] = {0};
        lenet_amount amount = lenet_read_amount(&ws, pixels, rows, columns, columns);
        for (int k = 0; k < amount.digits; k++) {
            text[k] = (uint8_t)amount.text[k];
        }
        board_write(text, sizeof text);
        write_number((uint32_t)amount.verdict);
        write_number((uint32_t)amount.readings);
        write_number((uint32_t)amount.score);
    }
    return next == GIVEN_END ? 0 : 2;
}
