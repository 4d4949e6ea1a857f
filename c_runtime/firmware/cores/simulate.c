/* simulate.c - runs a program on a simulated AVR whose UART 0, or USI, reads and writes files.
 * SPDX-License-Identifier: 0BSD
 *
 *     simulate CHIP PROGRAM.elf [INPUT OUTPUT [FUNCTIONS TRACE]]
 *
 * Without files, what the program sends is printed. FUNCTIONS are addresses of functions, in hex, with
 * commas between: from the first call of the first of them to the end of a call of the last, the file
 * TRACE gets, for each instruction of their calls, its address and its cycles, u32 each in this
 * machine's byte order. The exit status is the program's own, or 2 if it crashes.
 *
 * See avr.c for what goes over the line. simavr has no USI: what its registers do as SPI's master is
 * here. This is a program of the host; it is linked with
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
#include <simavr/sim_io.h>

/* Addresses of registers in data memory; the first of each chip, those of ports and USI of an ATtiny. */
enum { GPIOR0 = 0x3E, TINY_GPIOR0 = 0x31, SPL = 0x5D, SPH = 0x5E };
enum { USICR = 0x2D, USISR = 0x2E, USIDR = 0x2F, PORTB = 0x38 };

/* Bits of them: strobe, byte is through; pins that select, by 0, who sends and who takes. */
enum { USITC = 1, USIOIF = 64, SENDER = 8, TAKER = 16 };

enum { EDGES = 16 }; /* of the clock, for a byte */

typedef struct {
    avr_irq_t *receiver; /* null: there is no UART, but a USI */
    int is_ready;
    int edges;       /* that the USI's clock had since the last byte */
    uint8_t head[4]; /* the number of the input's bytes */
    int head_sent;
    FILE *input; /* or null */
    FILE *output;
} line;

enum { FUNCTIONS_MAX = 8 };

typedef struct {
    FILE *file; /* or null */
    uint32_t functions[FUNCTIONS_MAX];
    int count;
    enum { BEFORE, BETWEEN, INSIDE, AFTER } state;
    int is_last;
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

/* USISR is written: a 1 takes the flag back, and the count of edges is set. */
static void on_status(struct avr_t *avr, avr_io_addr_t address, uint8_t value, void *parameter)
{
    line *usi = parameter;
    avr->data[address] &= (uint8_t)~(value & USIOIF);
    usi->edges = value & (EDGES - 1);
}

/* USICR is written: the clock gets an edge, and the last of a byte exchanges it. */
static void on_strobe(struct avr_t *avr, avr_io_addr_t address, uint8_t value, void *parameter)
{
    line *usi = parameter;
    avr->data[address] = value & (uint8_t)~USITC;
    usi->edges += value & USITC;
    if (usi->edges < EDGES) {
        return;
    }
    usi->edges = 0;
    avr->data[USISR] |= USIOIF;
    if (!(avr->data[PORTB] & TAKER)) {
        fputc(avr->data[USIDR], usi->output);
    }
    if (!(avr->data[PORTB] & SENDER)) {
        avr->data[USIDR] = (uint8_t)next_byte(usi);
    }
}

static void connect(avr_t *avr, line *uart)
{
    const uint32_t port = AVR_IOCTL_UART_GETIRQ('0');
    uint32_t flags = 0;
    avr_ioctl(avr, AVR_IOCTL_UART_SET_FLAGS('0'), &flags);
    uart->receiver = avr_io_getirq(avr, port, UART_IRQ_INPUT);
    if (uart->receiver == NULL) {
        avr_register_io_write(avr, USISR, on_status, uart);
        avr_register_io_write(avr, USICR, on_strobe, uart);
        return;
    }
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

static void set_functions(call_trace *trace, const char *text)
{
    char *end;
    do {
        if (trace->count == FUNCTIONS_MAX) {
            fail(text, "has too many functions");
        }
        trace->functions[trace->count] = (uint32_t)strtoul(text, &end, 16);
        trace->count++;
        text = end + 1;
    } while (*end == ',');
}

/* Before an instruction: whether it begins one of the calls, or the one that was inside has ended. */
static void follow(const avr_t *avr, call_trace *trace)
{
    const unsigned sp = stack_pointer(avr);
    if (trace->state == INSIDE && avr->pc == trace->return_to && sp == trace->return_sp) {
        trace->state = trace->is_last ? AFTER : BETWEEN;
    }
    const int known = trace->state == BEFORE ? 1 : trace->state == BETWEEN ? trace->count : 0;
    for (int n = 0; n < known; n++) {
        if (avr->pc == trace->functions[n]) {
            uint32_t words = 0;
            for (unsigned k = 1; k <= avr->address_size; k++) {
                words = words << 8 | avr->data[sp + k];
            }
            trace->state = INSIDE;
            trace->is_last = n == trace->count - 1;
            trace->return_to = 2 * words;
            trace->return_sp = sp + avr->address_size;
        }
    }
}

/* Runs one instruction, or several if there is no trace, and writes down what is within a call. */
static int run(avr_t *avr, call_trace *trace)
{
    const uint32_t address = avr->pc;
    const avr_cycle_count_t before = avr->cycle;
    follow(avr, trace);
    int state = avr_run(avr);
    if (trace->state == INSIDE) {
        const uint32_t entry[2] = {address, (uint32_t)(avr->cycle - before)};
        fwrite(entry, sizeof entry, 1, trace->file);
    }
    return state;
}

int main(int argc, char **argv)
{
    if (argc != 3 && argc != 5 && argc != 7) {
        fputs("usage: simulate CHIP PROGRAM.elf [INPUT OUTPUT [FUNCTIONS TRACE]]\n", stderr);
        return 2;
    }
    line uart = {.output = stdout};
    if (argc >= 5) {
        uart.input = open(argv[3], "rb");
        uart.output = open(argv[4], "wb");
    }
    set_head(&uart);
    call_trace trace = {.state = AFTER};
    if (argc == 7) {
        set_functions(&trace, argv[5]);
        trace.file = open(argv[6], "wb");
        trace.state = BEFORE;
    }

    avr_global_logger_set(log_problem);
    elf_firmware_t program = {0};
    if (elf_read_firmware(argv[2], &program) != 0) {
        fail(argv[2], "is not a program for an AVR");
    }
    avr_t *avr = avr_make_mcu_by_name(argv[1]);
    if (avr == NULL) {
        fail(argv[1], "is not known to this simavr");
    }
    avr_init(avr);
    avr->frequency = 16000000;
    /* How long simavr runs on before it returns; its timers stop it earlier. */
    avr->run_cycle_limit = trace.file == NULL ? 1000 : 1;
    avr_load_firmware(avr, &program);
    connect(avr, &uart);

    int state;
    do {
        state = run(avr, &trace);
    } while (state != cpu_Done && state != cpu_Crashed);
    if (fclose(uart.output) != 0 || (trace.file != NULL && fclose(trace.file) != 0)) {
        fail("output", strerror(errno));
    }
    const int status = avr->data[uart.receiver == NULL ? TINY_GPIOR0 : GPIOR0];
    return state == cpu_Done ? status : 2;
}
