/* semihosting.c - a board's input and output as files of the host.
 * SPDX-License-Identifier: 0BSD
 *
 * The program's command line is `firmware [INPUT OUTPUT]`, two paths without blanks.
 */
#include "semihosting.h"
#include "board.h"

enum {
    SYS_OPEN = 0x01,
    SYS_WRITE0 = 0x04,
    SYS_WRITE = 0x05,
    SYS_READ = 0x06,
    SYS_GET_CMDLINE = 0x15,
    SYS_EXIT_EXTENDED = 0x20
};

enum { READ_BINARY = 1, WRITE_BINARY = 5 };

enum { APPLICATION_EXIT = 0x20026 };

static uintptr_t input;
static uintptr_t output;

void semihosting_exit(int status)
{
    const uintptr_t arguments[2] = {APPLICATION_EXIT, (uintptr_t)status};
    for (;;) {
        semihosting(SYS_EXIT_EXTENDED, arguments);
    }
}

static void fail(const char *message)
{
    board_print(message);
    semihosting_exit(2);
}

static uintptr_t open(const char *path, uintptr_t length, uintptr_t mode)
{
    const uintptr_t arguments[3] = {(uintptr_t)path, mode, length};
    intptr_t file = semihosting(SYS_OPEN, arguments);
    if (file < 0) {
        board_print(path);
        fail(": cannot be opened\n");
    }
    return (uintptr_t)file;
}

/* Ends the word at the start of a text, and returns its length. */
static uintptr_t end_word(char *text)
{
    uintptr_t length = 0;
    while (text[length] != ' ' && text[length] != '\0') {
        length++;
    }
    text[length] = '\0';
    return length;
}

int board_open(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    static char line[512];
    uintptr_t arguments[2] = {(uintptr_t)line, sizeof line - 1};
    if (semihosting(SYS_GET_CMDLINE, arguments) != 0) {
        fail("the command line is longer than 511 characters\n");
    }
    char *name = line;
    line[arguments[1]] = ' ';
    char *input_path = name + end_word(name) + 1;
    uintptr_t input_length = end_word(input_path);
    if (input_path > line + arguments[1]) {
        return 0;
    }
    char *output_path = input_path + input_length + 1;
    input = open(input_path, input_length, READ_BINARY);
    output = open(output_path, end_word(output_path), WRITE_BINARY);
    return 1;
}

size_t board_read(uint8_t *bytes, size_t size)
{
    size_t done = 0;
    while (done < size) {
        const uintptr_t arguments[3] = {input, (uintptr_t)(bytes + done), size - done};
        intptr_t left = semihosting(SYS_READ, arguments);
        if (left < 0) {
            fail("the input cannot be read\n");
        }
        if ((size_t)left == size - done) {
            break;
        }
        done = size - (size_t)left;
    }
    return done;
}

void board_write(const uint8_t *bytes, size_t size)
{
    const uintptr_t arguments[3] = {output, (uintptr_t)bytes, size};
    if (semihosting(SYS_WRITE, arguments) != 0) {
        fail("the output cannot be written\n");
    }
}

void board_print(const char *text)
{
    semihosting(SYS_WRITE0, text);
}
