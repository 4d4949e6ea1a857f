/* check_count.c - proves a board's counter on loops of known length.
 * SPDX-License-Identifier: 0BSD
 *
 * Prints what was counted. Exit status: 0 if all counts are exact, otherwise 1.
 */
#include "board.h"

static void empty(uint32_t loops)
{
    (void)loops;
}

/* Read through volatile, so that both are measured by the same instructions. */
static void (*volatile const empty_function)(uint32_t) = empty;
static void (*volatile const loop_function)(uint32_t) = board_loop;

static uint32_t count_of(void (*function)(uint32_t), uint32_t loops)
{
    board_start_count();
    function(loops);
    return board_count();
}

static void print_number(uint32_t number)
{
    const char *digits = TEXT("0\0001\0002\0003\0004\0005\0006\0007\0008\0009");
    char last_first[10];
    int count = 0;
    do {
        last_first[count++] = (char)(number % 10);
        number /= 10;
    } while (number != 0);
    while (count > 0) {
        board_print(digits + 2 * last_first[--count]);
    }
}

int main(int argc, char **argv)
{
    static const uint32_t loops[] = {1, 2, 3, 10, 1000, 8191, 100000, 100003, 1500000, 7000001};
    int is_exact = 1;
    (void)board_open(argc, argv);
    for (unsigned n = 0; n < sizeof loops / sizeof loops[0]; n++) {
        uint32_t count = count_of(loop_function, loops[n]) - count_of(empty_function, loops[n]);
        print_number(loops[n]);
        board_print(TEXT(" loops of 8: counted "));
        print_number(count);
        board_print(TEXT("\n"));
        is_exact &= count == 8 * loops[n];
    }
    board_print(is_exact ? TEXT("the counter is exact\n") : TEXT("the counter is wrong\n"));
    return is_exact ? 0 : 1;
}
