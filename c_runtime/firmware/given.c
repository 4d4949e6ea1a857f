/* given.c - see given.h.
 * SPDX-License-Identifier: 0BSD
 */
#include "given.h"

#include "board.h"

given read_given(uint8_t *pixels, size_t size, int *rows, int *columns)
{
    uint8_t head[4];
    size_t read = board_read(head, sizeof head);
    if (read < sizeof head) {
        return read ? GIVEN_NONE : GIVEN_END;
    }
    *rows = head[0] | head[1] << 8;
    *columns = head[2] | head[3] << 8;
    size_t area = (size_t)*rows * (size_t)*columns;
    return area <= size && board_read(pixels, area) == area ? GIVEN_PICTURE : GIVEN_NONE;
}
