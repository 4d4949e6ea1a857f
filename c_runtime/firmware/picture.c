/* picture.c - prepares pictures on a board, with C that was exported with --with picture.
 * SPDX-License-Identifier: 0BSD
 *
 * Input: pictures, one after the other: u16 rows, u16 columns, and so many bytes, at most
 * PICTURE_BYTES. Output, all numbers lowest byte first:
 *
 *     for each picture   u32[7]    verdict, is_dark, top, left, bottom, right, contrast
 *                        u8[...]   the image, LENET_ROWS x LENET_COLUMNS
 *                        u32       the digit that lenet_read_picture reads
 *                        u32       counts that lenet_prepare took (see board.h)
 *
 * Exit status: 0, or 2 if the input ends within a picture or one is too large.
 */
#include "board.h"
#include "lenet.h"
#include "record.h"

enum { PICTURE_BYTES = 6144 };

static lenet_picture ws;
static uint8_t pixels[PICTURE_BYTES];

/* The next number of the input, or -1 where it ends. */
static int32_t read_number(void)
{
    uint8_t bytes[2];
    return board_read(bytes, 2) == 2 ? bytes[0] | (int32_t)bytes[1] << 8 : -1;
}

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
        board_print("give pictures and a file for what is found in them\n");
        return 2;
    }
    for (int32_t rows = read_number(); rows >= 0; rows = read_number()) {
        int32_t columns = read_number();
        size_t size = (size_t)(rows * columns);
        if (columns < 0 || size > PICTURE_BYTES || board_read(pixels, size) != size) {
            return 2;
        }
        board_start_count();
        lenet_verdict verdict = lenet_prepare(&ws.shared.preparation, pixels, (int)rows,
                                              (int)columns, columns, ws.image, &ws.prepared);
        uint32_t count = board_count();
        write_found(verdict, &ws.prepared);
        board_write(ws.image, sizeof ws.image);
        lenet_reading reading = lenet_read_picture(&ws, pixels, (int)rows, (int)columns, columns);
        write_number((uint32_t)reading.digit);
        write_number(count);
    }
    return 0;
}
