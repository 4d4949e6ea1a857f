/* predict_pgm.c - reads the digit in a PGM picture of 28x28 pixels.
 * SPDX-License-Identifier: 0BSD
 *
 *     cc -O2 -Ic_runtime/generated -o predict_pgm c_runtime/examples/predict_pgm.c c_runtime/generated/lenet.c
 *     ./predict_pgm c_runtime/examples/digit.pgm
 *
 * The network has learned white ink on black: a digit in a box of 20x20 pixels, its centre of mass
 * in the middle of the picture. --invert takes dark ink on light paper.
 */
#include "lenet.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Says where, what and the remedy; returns 0, so that a reader can return it. */
static int refuse(const char *path, const char *what, const char *remedy)
{
    fprintf(stderr, "predict_pgm: error: %s: %s\n  %s\n", path, what, remedy);
    return 0;
}

/* The next byte of the header; a comment counts as the end of its line. */
static int header_byte(FILE *file)
{
    int byte = getc(file);
    if (byte == '#') {
        while (byte != '\n' && byte != '\r' && byte != EOF) {
            byte = getc(file);
        }
    }
    return byte;
}

/* The next number of the header, or -1. Takes one byte of white space after it and no more, since
 * the pixels begin there after the last number. */
static long header_number(FILE *file)
{
    int byte = header_byte(file);
    while (isspace(byte)) {
        byte = header_byte(file);
    }
    if (!isdigit(byte)) {
        return -1;
    }
    long number = 0;
    while (isdigit(byte) && number < 1000000) {
        number = 10 * number + (byte - '0');
        byte = header_byte(file);
    }
    return isspace(byte) ? number : -1;
}

/* Reads the header up to the first pixel; returns the value of white, or 0 if it is refused. */
static int read_header(const char *path, FILE *file)
{
    if (getc(file) != 'P' || getc(file) != '5') {
        return refuse(path, "is not a binary PGM (P5)", "save it as grey, binary (raw) PGM");
    }
    long columns = header_number(file);
    long rows = header_number(file);
    long maxval = header_number(file);
    if (columns < 0 || rows < 0 || maxval < 1) {
        return refuse(path, "has a broken header: not P5, width, height, maxval", "save it again");
    }
    if (columns != LENET_COLUMNS || rows != LENET_ROWS) {
        char what[64];
        snprintf(what, sizeof what, "is %ldx%ld pixels, not %dx%d", columns, rows, LENET_COLUMNS,
                 LENET_ROWS);
        return refuse(path, what, "cut the digit out and scale it to that size");
    }
    if (maxval > 255) {
        return refuse(path, "has more than 8 bits a pixel", "save it with a maxval of 255");
    }
    return (int)maxval;
}

/* Reads a whole picture, white as 255; returns 1, or 0 if it is refused. */
static int read_pgm(const char *path, FILE *file, uint8_t image[LENET_ROWS * LENET_COLUMNS])
{
    int maxval = read_header(path, file);
    if (maxval == 0) {
        return 0;
    }
    for (int k = 0; k < LENET_ROWS * LENET_COLUMNS; k++) {
        int pixel = getc(file);
        if (pixel == EOF) {
            return refuse(path, "ends before its last pixel", "save or copy it again");
        }
        if (pixel > maxval) {
            return refuse(path, "has a pixel above its maxval", "save it again");
        }
        image[k] = (uint8_t)((pixel * 255 + maxval / 2) / maxval);
    }
    return 1;
}

/* A verdict in words. */
static const char *told(lenet_verdict verdict)
{
    switch (verdict) {
    case LENET_ACCEPTED:
        return "accepted";
    case LENET_UNSURE:
        return "rejected: unsure";
    case LENET_NO_CLASS:
        return "rejected: none of the digits";
    case LENET_NO_INK:
        return "rejected: hardly any ink";
    case LENET_OUTSIDE:
        return "rejected: ink unlike a digit's; is it dark on light? --invert";
    default:
        return "rejected";
    }
}

int main(int argc, char **argv)
{
    int invert = argc > 1 && strcmp(argv[1], "--invert") == 0;
    if (argc != 2 + invert) {
        fputs("usage: predict_pgm [--invert] FILE\n", stderr);
        return 2;
    }
    const char *path = argv[1 + invert];
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        refuse(path, strerror(errno), "give the path of a PGM file");
        return 1;
    }
    uint8_t image[LENET_ROWS * LENET_COLUMNS];
    int is_read = read_pgm(path, file, image);
    fclose(file);
    if (!is_read) {
        return 1;
    }
    for (int k = 0; invert && k < LENET_ROWS * LENET_COLUMNS; k++) {
        image[k] = (uint8_t)(255 - image[k]);
    }
    static lenet_workspace ws;
    lenet_reading reading = lenet_read(&ws, image);
    printf("digit %d, gap %ld, %s\n", reading.digit, (long)reading.gap, told(reading.verdict));
    return 0;
}
