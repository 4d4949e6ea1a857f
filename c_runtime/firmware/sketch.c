/* sketch.c - the network as an Arduino sketch runs it: rows of pixels come over the line, the digit is
 * the answer, and no image is ever in memory. For boards that have no room for one.
 * SPDX-License-Identifier: 0BSD
 *
 * Input and output are those of main.c. An image's count is that of lenet_begin, of lenet_row for
 * each row, and of lenet_finish, each less that of an empty function; the stack is the deepest
 * that these calls need.
 */
#include "board.h"
#include "lenet.h"
#include "record.h"

#include <stdlib.h>

static lenet_workspace ws;
static int32_t logits[LENET_LOGITS];
static lenet_self_test_result result;

/* What the counter counts for a call. */
#define COUNT_OF(call) (board_start_count(), (call), board_count())

/* What of that is the call's own: the compiler cannot know that there is nothing in it. */
__attribute__((noinline)) static void empty(lenet_workspace *workspace, const uint8_t *row)
{
    __asm__ volatile("" : : "r"(workspace), "r"(row));
}

/* The bytes of stack that an image, or the self-test, needs below the frame of this function. */
static uint32_t stack_of(int is_self_test)
{
    static const uint8_t row[LENET_COLUMNS * LENET_CHANNELS];
    const uint8_t *top = board_stack_pointer();
    uint32_t most = 0;
    for (int colour = 0x55; colour <= 0xAA; colour += 0x55) {
        paint((uint8_t)colour);
        if (is_self_test) {
            lenet_self_test(&ws);
        } else {
            lenet_begin(&ws);
            for (int y = 0; y < LENET_ROWS; y++) {
                lenet_row(&ws, row);
            }
            lenet_finish(&ws, logits);
        }
        uint32_t bytes = depth((uint8_t)colour, top);
        most = bytes > most ? bytes : most;
    }
    return most;
}

/* The input ended within row y: ends the record, and the program. */
static void end(int is_whole)
{
    write_number(stack_of(0));
    write_number(stack_of(1));
    if (write_steps(&ws) != result) {
        exit(2);
    }
    write_number((uint32_t)result);
    exit(!is_whole ? 2 : result == LENET_SELF_TEST_PASSED ? 0 : 1);
}

static void setup(void)
{
    int has_input = board_open(0, NULL);
    result = lenet_self_test(&ws);
    if (!has_input) {
        board_print(text_of(result));
        exit(result == LENET_SELF_TEST_PASSED ? 0 : 1);
    }
}

/* One image. */
static void loop(void)
{
    uint8_t row[LENET_COLUMNS * LENET_CHANNELS];
    const uint32_t overhead = COUNT_OF(empty(&ws, row));
    uint32_t count = COUNT_OF(lenet_begin(&ws)) - overhead;
    for (int y = 0; y < LENET_ROWS; y++) {
        size_t size = board_read(row, sizeof row);
        if (size < sizeof row) {
            end(y == 0 && size == 0);
        }
        count += COUNT_OF(lenet_row(&ws, row)) - overhead;
    }
    count += COUNT_OF(lenet_finish(&ws, logits)) - overhead;
    for (int c = 0; c < LENET_LOGITS; c++) {
        write_number((uint32_t)logits[c]);
    }
    write_number(count);
}

int main(void)
{
    setup();
    for (;;) {
        loop();
    }
}
