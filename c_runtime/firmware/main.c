/* main.c - runs the network on a board: the self-test, then the images that it is given.
 * SPDX-License-Identifier: 0BSD
 *
 * Input: images of LENET_ROWS x LENET_COLUMNS x LENET_CHANNELS bytes, one after the other, and
 * nothing between them. Output, the record, all numbers lowest byte first:
 *
 *     for each image   s32[LENET_LOGITS]    logits
 *                      u32                  counts that lenet_logits took (see board.h)
 *     at the end       u32                  bytes of stack below the caller's that it needed
 *                      u32                  the same of lenet_self_test
 *                      u32                  the steps of a self-test
 *                      u32                  counts that they took
 *                      u32                  those of the longest step
 *                      u32                  which step that is, from 0
 *                      u32                  what lenet_self_test returned
 *
 * The count is that of lenet_logits with its arguments and call, less that of an empty function.
 * Without input, the result of the self-test is printed.
 *
 * Exit status: 0, or 1 if the self-test failed, or 2 if the input ends within an image, or if
 * its steps give another result.
 */
#include "board.h"
#include "lenet.h"
#include "record.h"

/* A pin that is high while the network runs, for an oscilloscope or a power monitor; none unless it
 * is defined elsewhere: see docs/measure-on-your-board.md. */
#ifndef BOARD_PIN_HIGH
#define BOARD_PIN_HIGH() ((void)0)
#define BOARD_PIN_LOW() ((void)0)
#endif

typedef lenet_verdict network(lenet_workspace *ws, const uint8_t *image, int32_t *logits);

static lenet_workspace ws;
static uint8_t image[LENET_ROWS * LENET_COLUMNS * LENET_CHANNELS];
static int32_t logits[LENET_LOGITS];

static lenet_verdict empty(lenet_workspace *unused_ws, const uint8_t *unused_image,
                           int32_t *unused_logits)
{
    (void)unused_ws;
    (void)unused_image;
    (void)unused_logits;
    return LENET_ACCEPTED;
}

/* Read through volatile, so that both are measured by the same instructions. */
static network *volatile const empty_network = empty;
static network *volatile const lenet_network = lenet_logits;

static uint32_t count_of(network *function)
{
    board_start_count();
    function(&ws, image, logits);
    return board_count();
}

/* The bytes of stack that lenet_logits or lenet_self_test needs below the frame of this function.
 *
 * Two colours, since a byte that was written may have the colour by chance. */
static uint32_t stack_of(int is_self_test)
{
    const uint8_t *top = board_stack_pointer();
    uint32_t most = 0;
    for (int colour = 0x55; colour <= 0xAA; colour += 0x55) {
        paint((uint8_t)colour);
        if (is_self_test) {
            lenet_self_test(&ws);
        } else {
            lenet_logits(&ws, image, logits);
        }
        uint32_t bytes = depth((uint8_t)colour, top);
        most = bytes > most ? bytes : most;
    }
    return most;
}

int main(int argc, char **argv)
{
    int has_input = board_open(argc, argv);
    lenet_self_test_result result = lenet_self_test(&ws);
    if (!has_input) {
        board_print(text_of(result));
        return result == LENET_SELF_TEST_PASSED ? 0 : 1;
    }

    uint32_t overhead = count_of(empty_network);
    size_t size;
    while ((size = board_read(image, sizeof image)) == sizeof image) {
        BOARD_PIN_HIGH();
        uint32_t count = count_of(lenet_network) - overhead;
        BOARD_PIN_LOW();
        for (int c = 0; c < LENET_LOGITS; c++) {
            write_number((uint32_t)logits[c]);
        }
        write_number(count);
    }
    write_number(stack_of(0));
    write_number(stack_of(1));
    if (write_steps(&ws) != result) {
        return 2;
    }
    write_number((uint32_t)result);
    if (size != 0) {
        return 2;
    }
    return result == LENET_SELF_TEST_PASSED ? 0 : 1;
}
