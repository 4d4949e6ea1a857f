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
static lenet_self_test_result result;

/* What comes in, and what goes out: never at the same time. */
typedef union {
    uint8_t row[LENET_COLUMNS * LENET_CHANNELS];
    int32_t logits[LENET_LOGITS];
} traffic;

/* Adds what the counter counts for a call to `count`, less what it counts for nothing in the same place,
 * where the compiler has the same arguments at hand. */
#define COUNT(call)                                                                                \
    do {                                                                                           \
        board_start_count();                                                                       \
        (call);                                                                                    \
        count += board_count();                                                                    \
        board_start_count();                                                                       \
        empty(&ws, io.row);                                                                        \
        count -= board_count();                                                                    \
    } while (0)

/* In front of a function whose variables are to lie in RAM only while it runs. */
#define APART __attribute__((noinline))

/* The compiler cannot know that there is nothing in it. */
APART static void empty(lenet_workspace *workspace, const uint8_t *row)
{
    __asm__ volatile("" : : "r"(workspace), "r"(row));
}

/* The bytes of stack that an image needs below the frame of this function, as one colour tells. */
APART static uint32_t stack_of_image(uint8_t colour)
{
    traffic io = {{0}};
    const uint8_t *top = board_stack_pointer();
    paint(colour);
    lenet_begin(&ws);
    for (int y = 0; y < LENET_ROWS; y++) {
        lenet_row(&ws, io.row);
    }
    lenet_finish(&ws, io.logits);
    return depth(colour, top);
}

/* The same of the self-test. */
APART static uint32_t stack_of_self_test(uint8_t colour)
{
    const uint8_t *top = board_stack_pointer();
    paint(colour);
    lenet_self_test(&ws);
    return depth(colour, top);
}

/* By two colours: a byte that was written may have one by chance, but not both. */
static void write_stack(uint32_t first, uint32_t second)
{
    write_number(first > second ? first : second);
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

/* One image. Returns 1, or 0 where the input ended in front of it, or -1: within. */
APART static int loop(void)
{
    traffic io;
    uint32_t count = 0;
    COUNT(lenet_begin(&ws));
    for (int y = 0; y < LENET_ROWS; y++) {
        size_t size = board_read(io.row, sizeof io.row);
        if (size < sizeof io.row) {
            return y == 0 && size == 0 ? 0 : -1;
        }
        COUNT(lenet_row(&ws, io.row));
    }
    COUNT(lenet_finish(&ws, io.logits));
    for (int c = 0; c < LENET_LOGITS; c++) {
        write_number((uint32_t)io.logits[c]);
    }
    write_number(count);
    return 1;
}

#ifdef __AVR__
/* Nobody has registers that it would have to keep. */
__attribute__((OS_main))
#endif
int main(void)
{
    int more;
    setup();
    do {
        more = loop();
    } while (more > 0);
    write_stack(stack_of_image(0x55), stack_of_image(0xAA));
    write_stack(stack_of_self_test(0x55), stack_of_self_test(0xAA));
    if (write_steps(&ws) != result) {
        return 2;
    }
    write_number((uint32_t)result);
    return more < 0 ? 2 : result == LENET_SELF_TEST_PASSED ? 0 : 1;
}
