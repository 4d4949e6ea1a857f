/* simulate.c - runs a program on a simulated ATmega2560 whose UART 0 reads and writes files.
 * SPDX-License-Identifier: 0BSD
 *
 *     simulate PROGRAM.elf [INPUT OUTPUT [FUNCTION TRACE]]
 *
 * Without files, what the program sends is printed. FUNCTION is the address of a function, in hex:
 * the file TRACE gets, for each instruction of its first call, its address and its cycles, u32 each
 * in this machine's byte order. The exit status is the program's own, or 2 if it crashes.
 *
 * See board.c for what goes over the line. This is a program of the host; it is linked with
 * libsimavr.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <simavr/avr_uart.h>
#include <simavr/sim_avr.h>
#include <simavr/sim_elf.h>

/* Addresses of registers in data memory. */
enum { GPIOR0 = 0x3E, SPL = 0x5D, SPH = 0x5E };

typedef struct {
    avr_irq_t *receiver;
    int is_ready;
    uint8_t head[4]; /* the number of the input's bytes */
    int head_sent;
    FILE *input; /* or null */
    FILE *output;
} line;

typedef struct {
    FILE *file; /* or null */
    uint32_t function;
    enum { BEFORE, INSIDE, AFTER } state;
    uint32_t return_to;
    unsigned return_sp;
} call_trace;

static void fail(const char *path, const char *problem)
{
    fprintf(stderr, "simulate: error: %s: %s\n", path, problem);
    exit(2);
}

/* simavr tells what it loads, too; only warnings and errors are printed. */
static void log_problem(avr_t *avr, const int level, const char *format, va_list arguments)
{
    (void)avr;
    if (level == LOG_ERROR || level == LOG_WARNING) {
        vfprintf(stderr, format, arguments);
    }
}

static FILE *open(const char *path, const char *mode)
{
    FILE *file = fopen(path, mode);
    if (file == NULL) {
        fail(path, strerror(errno));
    }
    return file;
}

/* Returns the next byte, or EOF. */
static int next_byte(line *uart)
{
    if (uart->head_sent < 4) {
        return uart->head[uart->head_sent++];
    }
    return uart->input == NULL ? EOF : fgetc(uart->input);
}

/* The receiver has room: sends until it has none, when it calls on_full before this returns. */
static void on_room(struct avr_irq_t *irq, uint32_t value, void *parameter)
{
    line *uart = parameter;
    (void)irq;
    (void)value;
    uart->is_ready = 1;
    while (uart->is_ready) {
        int byte = next_byte(uart);
        if (byte == EOF) {
            break;
        }
        avr_raise_irq(uart->receiver, (uint32_t)byte);
    }
}

static void on_full(struct avr_irq_t *irq, uint32_t value, void *parameter)
{
    line *uart = parameter;
    (void)irq;
    (void)value;
    uart->is_ready = 0;
}

static void on_byte(struct avr_irq_t *irq, uint32_t value, void *parameter)
{
    line *uart = parameter;
    (void)irq;
    fputc((int)(value & 255), uart->output);
}

static void connect(avr_t *avr, line *uart)
{
    const uint32_t port = AVR_IOCTL_UART_GETIRQ('0');
    uint32_t flags = 0;
    avr_ioctl(avr, AVR_IOCTL_UART_SET_FLAGS('0'), &flags);
    uart->receiver = avr_io_getirq(avr, port, UART_IRQ_INPUT);
    avr_irq_register_notify(avr_io_getirq(avr, port, UART_IRQ_OUTPUT), on_byte, uart);
    avr_irq_register_notify(avr_io_getirq(avr, port, UART_IRQ_OUT_XON), on_room, uart);
    avr_irq_register_notify(avr_io_getirq(avr, port, UART_IRQ_OUT_XOFF), on_full, uart);
}

static void set_head(line *uart)
{
    long size = -1;
    if (uart->input != NULL) {
        fseek(uart->input, 0, SEEK_END);
        size = ftell(uart->input);
        rewind(uart->input);
    }
    for (int i = 0; i < 4; i++) {
        uart->head[i] = (uint8_t)((unsigned long)size >> (8 * i) & 255);
    }
}

static unsigned stack_pointer(const avr_t *avr)
{
    return (unsigned)avr->data[SPL] | (unsigned)avr->data[SPH] << 8;
}

/* Runs one instruction, and writes it down if it is within the call. */
static int run(avr_t *avr, call_trace *trace)
{
    const uint32_t address = avr->pc;
    const unsigned sp = stack_pointer(avr);
    if (trace->state == BEFORE && address == trace->function) {
        const uint8_t *top = avr->data + sp;
        trace->state = INSIDE;
        trace->return_to = 2 * ((uint32_t)top[1] << 16 | (uint32_t)top[2] << 8 | top[3]);
        trace->return_sp = sp + 3;
    } else if (trace->state == INSIDE && address == trace->return_to && sp == trace->return_sp) {
        trace->state = AFTER;
    }
    const avr_cycle_count_t before = avr->cycle;
    int state = avr_run(avr);
    if (trace->state == INSIDE) {
        const uint32_t entry[2] = {address, (uint32_t)(avr->cycle - before)};
        fwrite(entry, sizeof entry, 1, trace->file);
    }
    return state;
}

int main(int argc, char **argv)
{
    if (argc != 2 && argc != 4 && argc != 6) {
        fputs("usage: simulate PROGRAM.elf [INPUT OUTPUT [FUNCTION TRACE]]\n", stderr);
        return 2;
    }
    line uart = {.output = stdout};
    if (argc >= 4) {
        uart.input = open(argv[2], "rb");
        uart.output = open(argv[3], "wb");
    }
    set_head(&uart);
    call_trace trace = {.state = AFTER};
    if (argc == 6) {
        trace.function = (uint32_t)strtoul(argv[4], NULL, 16);
        trace.file = open(argv[5], "wb");
        trace.state = BEFORE;
    }

    avr_global_logger_set(log_problem);
    elf_firmware_t program = {0};
    if (elf_read_firmware(argv[1], &program) != 0) {
        fail(argv[1], "is not a program for an AVR");
    }
    avr_t *avr = avr_make_mcu_by_name("atmega2560");
    if (avr == NULL) {
        fail("atmega2560", "is not known to this simavr");
    }
    avr_init(avr);
    avr->frequency = 16000000;
    avr_load_firmware(avr, &program);
    connect(avr, &uart);

    int state;
    do {
        state = run(avr, &trace);
    } while (state != cpu_Done && state != cpu_Crashed);
    if (fclose(uart.output) != 0 || (trace.file != NULL && fclose(trace.file) != 0)) {
        fail("output", strerror(errno));
    }
    return state == cpu_Done ? avr->data[GPIOR0] : 2;
}
