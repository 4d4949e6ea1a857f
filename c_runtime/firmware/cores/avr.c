/* avr.c - an AVR at 16 MHz: a line for input and output, and where the stack lies.
 * SPDX-License-Identifier: 0BSD
 *
 * The line is UART 0, or where there is none the USI. It has no end, so the sender gives the number
 * of the input's bytes first, u32, lowest byte first; 0xFFFFFFFF stands for no input. The program
 * leaves its exit status in GPIOR0 and stops: it sleeps, with all interrupts off.
 *
 * The start-up code and the linker script are those of avr-libc.
 */
#include "board.h"

#include <avr/interrupt.h>
#include <avr/io.h>
#include <avr/sleep.h>

extern uint8_t __heap_start[];

static uint32_t input_left;

static void stop(int status) __attribute__((noreturn));

#ifdef UDR0
#include "avr_uart.h"
#else
#include "avr_usi.h"
#endif

static void stop(int status)
{
    end_line();
    GPIOR0 = (uint8_t)status;
    cli();
    for (;;) {
        sleep_mode();
    }
}

/* main returns to avr-libc, which calls this; no destructor is ever registered. */
void exit(int status)
{
    stop(status);
}

int board_open(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    begin_line();
    for (uint8_t shift = 0; shift < 32; shift = (uint8_t)(shift + 8)) {
        input_left |= (uint32_t)receive() << shift;
    }
    return input_left != 0xFFFFFFFF;
}

size_t board_read(uint8_t *bytes, size_t size)
{
    size_t done = 0;
    while (done < size && input_left > 0) {
        bytes[done] = receive();
        done++;
        input_left--;
    }
    return done;
}

void board_write(const uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        send(bytes[i]);
    }
}

void board_print(const char *text)
{
    for (; pgm_read_byte(text) != '\0'; text++) {
        send(pgm_read_byte(text));
    }
}

uint8_t *board_stack_limit(void)
{
    return __heap_start;
}

/* The stack pointer is one below the bytes in use, of which this call's return address is two; three
 * where the program memory has more than 64 K words. */
uint8_t *board_stack_pointer(void)
{
#ifdef __AVR_3_BYTE_PC__
    return (uint8_t *)(SP + 4);
#else
    return (uint8_t *)(SP + 3);
#endif
}
