/* push_rows.c - reads digits row by row, as a scanner gives them; no image is ever in memory.
 * SPDX-License-Identifier: 0BSD
 *
 *     cc -O2 -Ic_runtime/generated -o push_rows c_runtime/examples/push_rows.c c_runtime/generated/lenet.c
 *     tail -c 784 c_runtime/examples/digit.pgm | ./push_rows
 *
 * Input, from a file or else from stdin: rows of 28 bytes, 28 rows a digit, one digit after the
 * other, and nothing between them. A whole test set is such an input, after its 16 bytes of header:
 *
 *     tail -c +17 t10k-images-idx3-ubyte | ./push_rows
 */
#include "lenet.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#ifdef _WIN32 /* where standard input is text, unless one asks for bytes */
#include <fcntl.h>
#include <io.h>
#endif

static void print_reading(const int32_t logits[LENET_LOGITS], lenet_verdict so_far)
{
    lenet_reading reading = lenet_decide(logits, so_far);
    printf("digit %d%s, logits", reading.digit, reading.accepted ? "" : " (not accepted)");
    for (int digit = 0; digit < LENET_CLASSES; digit++) {
        printf(" %ld", (long)logits[digit]);
    }
    putchar('\n');
}

/* Reads digits to the end of the input; returns 1, or 0 if it ends before or within a digit. */
static int read_digits(const char *path, FILE *file)
{
    static lenet_workspace ws;
    uint8_t row[LENET_COLUMNS];
    size_t bytes;
    long digits = 0;
    int rows = 0;
    lenet_begin(&ws);
    while ((bytes = fread(row, 1, sizeof row, file)) == sizeof row) {
        lenet_row(&ws, row);
        rows++;
        if (rows == LENET_ROWS) {
            int32_t logits[LENET_LOGITS];
            print_reading(logits, lenet_finish(&ws, logits));
            lenet_begin(&ws);
            rows = 0;
            digits++;
        }
    }
    if (digits > 0 && rows == 0 && bytes == 0) {
        return 1;
    }
    fprintf(stderr,
            "push_rows: error: %s: ends in row %d of digit %ld\n"
            "  give %d rows of %d bytes for each digit, without the header of a file format\n",
            path, rows + 1, digits + 1, LENET_ROWS, LENET_COLUMNS);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc > 2) {
        fputs("usage: push_rows [FILE]\n", stderr);
        return 2;
    }
    if (argc == 1) {
#ifdef _WIN32
        _setmode(_fileno(stdin), _O_BINARY);
#endif
        return read_digits("stdin", stdin) ? 0 : 1;
    }
    FILE *file = fopen(argv[1], "rb");
    if (file == NULL) {
        fprintf(stderr, "push_rows: error: %s: %s\n  give the path of a file of rows\n", argv[1],
                strerror(errno));
        return 1;
    }
    int is_whole = read_digits(argv[1], file);
    fclose(file);
    return is_whole ? 0 : 1;
}
