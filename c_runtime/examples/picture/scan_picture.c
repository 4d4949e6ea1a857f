/* scan_picture.c - reads the digit in a PGM picture whose rows come once, as from a scanner.
 * SPDX-License-Identifier: 0BSD
 *
 *     lenet-export --with picture --out digits
 *     cc -O2 -Idigits -o scan_picture c_runtime/examples/picture/scan_picture.c digits/lenet.c
 *     cat c_runtime/examples/page.pgm | ./scan_picture
 *
 * No row is kept: each is read from standard input, pushed and forgotten. A picture that can be
 * read again is read_picture.c's, which finds smaller digits.
 */
#include "lenet.h"

#include <stdio.h>
#ifdef _WIN32 /* where standard input is text, unless one asks for bytes */
#include <fcntl.h>
#include <io.h>
#endif

int main(void)
{
    static lenet_scan ws;
    static uint8_t row[LENET_PICTURE_MOST];
    char five[2];
    int rows = 0, columns = 0, white = 0;
#ifdef _WIN32
    _setmode(_fileno(stdin), _O_BINARY);
#endif
    /* A header may have a comment. */
    if (scanf("P%1[5] #%*[^\n]", five) != 1 || scanf("%d %d %d", &columns, &rows, &white) != 3 ||
        white != 255 || getchar() == EOF || columns < 1 || columns > LENET_PICTURE_MOST) {
        fputs("usage: scan_picture < FILE, a binary PGM (P5) of bytes\n", stderr);
        return 2;
    }
    lenet_scan_begin(&ws, rows, columns);
    while (fread(row, 1, (size_t)columns, stdin) == (size_t)columns) {
        lenet_scan_row(&ws, row);
    }
    lenet_reading reading = lenet_scan_finish(&ws);
    if (reading.digit < 0) {
        puts(reading.verdict == LENET_NO_INK       ? "no ink"
             : reading.verdict == LENET_MISCOUNTED ? "not as many rows as were told"
                                                   : "no picture of 12x12 to 1024x1024");
        return 1;
    }
    printf("digit %d in rows %d to %d, columns %d to %d, %s\n", reading.digit, ws.prepared.top,
           ws.prepared.bottom - 1, ws.prepared.left, ws.prepared.right - 1,
           reading.accepted ? "accepted" : "rejected");
    return 0;
}
