/* arm.c - start-up of a Cortex-M.
 * SPDX-License-Identifier: 0BSD
 */
#include "board.h"
#include "semihosting.h"

/* Addresses, from arm.ld. */
extern uint32_t data_start[], data_end[], bss_start[], bss_end[], stack_top[];
extern const uint32_t data_in_flash[];
extern uint8_t stack_limit[];

int main(int argc, char **argv);
void reset(void);

/* Coprocessor access control: coprocessors 10 and 11 are the floating-point and vector units. */
#define CPACR (*(volatile uint32_t *)0xE000ED88)

static void fault(void)
{
    board_print("fault: the processor met an instruction or address that it cannot use\n");
    semihosting_exit(2);
}

/* No interrupt is ever enabled, so that the table ends with the system's faults. */
typedef void handler(void);
static const struct {
    uint32_t *stack;
    handler *handlers[6];
} vectors __attribute__((section(".vectors"), used)) = {
    stack_top,
    {reset, fault, fault, fault, fault, fault},
};

void reset(void)
{
    /* Through volatile: these loops must not become calls of memcpy and memset. */
    volatile uint32_t *to = data_start;
    for (const uint32_t *from = data_in_flash; to < data_end; from++) {
        *to++ = *from;
    }
    for (to = bss_start; to < bss_end;) {
        *to++ = 0;
    }
#ifdef __ARM_FP
    CPACR |= 0xFu << 20;
    __asm__ volatile("dsb\n isb" ::: "memory");
#endif
    semihosting_exit(main(0, 0));
}

uint8_t *board_stack_limit(void)
{
    return stack_limit;
}
