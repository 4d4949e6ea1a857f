/* board.c - an ordinary program: `firmware [INPUT OUTPUT]`.
 * SPDX-License-Identifier: 0BSD
 */
#include "board.h"

#include <stdio.h>
#include <stdlib.h>

static FILE *input;
static FILE *output;

static FILE *open(const char *path, const char *mode)
{
    FILE *file = fopen(path, mode);
    if (file == NULL) {
        perror(path);
        exit(2);
    }
    return file;
}

int board_open(int argc, char **argv)
{
    if (argc == 1) {
        return 0;
    }
    if (argc != 3) {
        fputs("usage: firmware [INPUT OUTPUT]\n", stderr);
        exit(2);
    }
    input = open(argv[1], "rb");
    output = open(argv[2], "wb");
    return 1;
}

size_t board_read(uint8_t *bytes, size_t size)
{
    size_t done = fread(bytes, 1, size, input);
    if (ferror(input)) {
        perror("input");
        exit(2);
    }
    return done;
}

void board_write(const uint8_t *bytes, size_t size)
{
    if (fwrite(bytes, 1, size, output) != size || fflush(output) != 0) {
        perror("output");
        exit(2);
    }
}

void board_print(const char *text)
{
    fputs(text, stdout);
}

void board_start_count(void)
{
}

uint32_t board_count(void)
{
    return 0;
}

uint8_t *board_stack_limit(void)
{
    return NULL;
}

uint8_t *board_stack_pointer(void)
{
    return NULL;
}
