/* record.c - see record.h.
 * SPDX-License-Identifier: 0BSD
 */
#include "record.h"

#include "board.h"

void paint(uint8_t colour)
{
    volatile uint8_t *end = board_stack_pointer();
    for (volatile uint8_t *byte = board_stack_limit(); byte < end; byte++) {
        *byte = colour;
    }
}

uint32_t depth(uint8_t colour, const volatile uint8_t *top)
{
    const volatile uint8_t *byte = board_stack_limit();
    while (byte < top && *byte == colour) {
        byte++;
    }
    return (uint32_t)(top - byte);
}

void write_number(uint32_t number)
{
    uint8_t bytes[4];
    for (int i = 0; i < 4; i++) {
        bytes[i] = (uint8_t)(number >> (8 * i) & 255);
    }
    board_write(bytes, sizeof bytes);
}

/* What the counter counts where there is nothing to count. */
static uint32_t overhead(void)
{
    board_start_count();
    return board_count();
}

lenet_self_test_result write_steps(lenet_workspace *ws)
{
    lenet_self_test_state test;
    lenet_self_test_result result = LENET_SELF_TEST_RUNNING;
    uint32_t all = 0, most = 0, longest = 0, steps = 0;
    lenet_self_test_begin(&test);
    while (result == LENET_SELF_TEST_RUNNING && steps < LENET_SELF_TEST_STEPS) {
        board_start_count();
        result = lenet_self_test_step(&test, ws);
        uint32_t count = board_count() - overhead();
        if (count > most) {
            most = count;
            longest = steps;
        }
        all += count;
        steps++;
    }
    write_number(steps);
    write_number(all);
    write_number(most);
    write_number(longest);
    return result;
}

const char *text_of(lenet_self_test_result result)
{
    switch (result) {
    case LENET_SELF_TEST_PASSED:
        return TEXT("self-test passed\n");
    case LENET_SELF_TEST_CONSTANTS:
        return TEXT("self-test failed: the constants are not those of the model (CRC-32C)\n"
                    "  write the program to flash again\n");
    case LENET_SELF_TEST_ANSWERS:
    case LENET_SELF_TEST_RUNNING:
        break;
    }
    return TEXT("self-test failed: the constants are right, but known images are read wrongly\n"
                "  suspect the RAM, the code in flash, or the compiler and its flags\n");
}
