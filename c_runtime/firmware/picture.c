/* picture.c - prepares pictures on a board, with C that was exported with --with picture.
 * SPDX-License-Identifier: 0BSD
 *
 * Input: pictures (see given.h), each of at most PICTURE_BYTES. Output, all numbers lowest byte first:
 *
 *     for each picture   u32[7]    verdict, is_dark, top, left, bottom, right, contrast
 *                        u8[...]   the image, LENET_ROWS x LENET_COLUMNS
 *                        u32       the digit that lenet_read_picture reads
 *                        u32       counts that lenet_prepare took (see board.h)
 *
 * Exit status: 0, or 2 if the input ends within a picture or one is too large.
 */
#include "board.h"
#include "given.h"
#include "lenet.h"
#include "record.h"

enum { PICTURE_BYTES = 6144 };

static lenet_picture ws;
static uint8_t pixels[PICTURE_BYTES];

static void write_found(lenet_verdict verdict, const lenet_prepared *found)
{
    write_number((uint32_t)verdict);
    write_number((uint32_t)found->is_dark);
    write_number((uint32_t)found->top);
    write_number((uint32_t)found->left);
    write_number((uint32_t)found->bottom);
    write_number((uint32_t)found->right);
    write_number((uint32_t)found->contrast);
}

int main(int argc, char **argv)
{
    if (!board_open(argc, argv)) {
        board_print(TEXT("give pictures and a file for what is found in them\n"));
        return 2;
    }
    int rows, columns;
    given next;
    while ((next = read_given(pixels, sizeof pixels, &rows, &columns)) == GIVEN_PICTURE) {
        board_start_count();
        lenet_verdict verdict = lenet_prepare(&ws.shared.preparation, pixels, rows, columns,
                                              columns, ws.image, &ws.prepared);
        uint32_t count = board_count();
        write_found(verdict, &ws.prepared);
        board_write(ws.image, sizeof ws.image);
        lenet_reading reading = lenet_read_picture(&ws, pixels, rows, columns, columns);
        write_number((uint32_t)reading.digit);
        write_number(count);
    }
    return next == GIVEN_END ? 0 : 2;
}
