/* read_picture.c - reads the digit in a PGM picture of 12x12 to 1024x1024 pixels, wherever it is.
 * SPDX-License-Identifier: 0BSD
 *
 *     lenet-export --with picture --out digits
 *     cc -O2 -Idigits -o read_picture c_runtime/examples/picture/read_picture.c digits/lenet.c
 *     ./read_picture c_runtime/examples/page.pgm
 *
 * One row of the picture is in memory at a time: lenet_read_picture_rows asks for each of them
 * seven times. A picture that is in memory goes to lenet_read_picture.
 */
#include "lenet.h"

#include <stdio.h>

/* An open PGM file. */
typedef struct {
    FILE *file;
    long begin; /* of the pixels */
    int rows, columns;
    uint8_t row[LENET_PICTURE_MOST];
} pgm_file;

/* Row y of the picture, or a null pointer if the file has none. */
static const uint8_t *row_of(void *source, int y)
{
    pgm_file *pgm = source;
    size_t columns = (size_t)pgm->columns;
    if (fseek(pgm->file, pgm->begin + (long)y * pgm->columns, SEEK_SET) != 0 ||
        fread(pgm->row, 1, columns, pgm->file) != columns) {
        return NULL;
    }
    return pgm->row;
}

/* Reads the header, with a comment in it or without; returns whether it is that of a binary PGM of
 * bytes. */
static int read_header(pgm_file *pgm)
{
    char five[2];
    int white = 0;
    if (fscanf(pgm->file, "P%1[5] #%*[^\n]", five) != 1 ||
        fscanf(pgm->file, "%d %d %d", &pgm->columns, &pgm->rows, &white) != 3) {
        return 0;
    }
    pgm->begin = ftell(pgm->file) + 1;
    return white == 255 && pgm->columns <= LENET_PICTURE_MOST;
}

int main(int argc, char **argv)
{
    static pgm_file pgm;
    static lenet_picture ws;
    pgm.file = argc == 2 ? fopen(argv[1], "rb") : NULL;
    if (pgm.file == NULL || !read_header(&pgm)) {
        fputs("usage: read_picture FILE, a binary PGM (P5) of bytes\n", stderr);
        return 2;
    }
    lenet_reading reading = lenet_read_picture_rows(&ws, row_of, &pgm, pgm.rows, pgm.columns);
    fclose(pgm.file);
    if (reading.digit < 0) {
        puts(reading.verdict == LENET_NO_INK ? "no ink" : "no picture of 12x12 to 1024x1024");
        return 1;
    }
    for (int y = 0; y < LENET_ROWS; y++) {
        for (int x = 0; x < LENET_COLUMNS; x++) {
            putchar(" .+#"[ws.image[LENET_COLUMNS * y + x] / 64]);
        }
        putchar('\n');
    }
    printf("digit %d in %s ink, %s\n", reading.digit, ws.prepared.is_dark ? "dark" : "light",
           reading.accepted ? "accepted" : "rejected");
    return 0;
}
