/* read_line.c - reads the digits in the PGM picture of a line, of 12x12 pixels and more.
 * SPDX-License-Identifier: 0BSD
 *
 *     lenet-export --with amount --out digits
 *     cc -O2 -Idigits -o read_line c_runtime/examples/amount/read_line.c digits/lenet.c
 *     ./read_line line.pgm
 *
 * The whole line is in memory, of which lenet_read_amount writes nothing.
 */
#include "lenet.h"

#include <stdio.h>

enum { ROWS = 128, COLUMNS = 1024 };

int main(int argc, char **argv)
{
    static uint8_t line[ROWS * COLUMNS];
    static lenet_line ws;
    char five[2];
    int rows = 0, columns = 0, white = 0;
    FILE *file = argc == 2 ? fopen(argv[1], "rb") : NULL;
    /* A header may have a comment. */
    if (file == NULL || fscanf(file, "P%1[5] #%*[^\n]", five) != 1 ||
        fscanf(file, "%d %d %d", &columns, &rows, &white) != 3 || white != 255 ||
        getc(file) == EOF || rows < 1 || rows > ROWS || columns < 1 || columns > COLUMNS) {
        fputs("usage: read_line FILE, a binary PGM (P5) of up to 1024x128 bytes\n", stderr);
        return 2;
    }
    size_t size = (size_t)rows * (size_t)columns, found = fread(line, 1, size, file);
    fclose(file);
    if (found != size) {
        fputs("read_line: the picture ends before its last pixel\n", stderr);
        return 1;
    }
    lenet_amount amount = lenet_read_amount(&ws, line, rows, columns, columns);
    if (amount.digits == 0) {
        puts(amount.verdict == LENET_NO_INK     ? "no ink"
             : amount.verdict == LENET_NO_CLASS ? "no amount"
                                                : "no picture of a line");
        return 1;
    }
    printf("%s, score %ld, %s\n", amount.text, (long)amount.score,
           amount.accepted ? "accepted" : "rejected");
    return 0;
}
