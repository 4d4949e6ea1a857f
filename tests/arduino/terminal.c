/* terminal.c - an AVR's serial line in simavr: answers each ">" of a sketch with some bytes of a file.
 *
 *     terminal CHIP SKETCH.elf BYTES INPUT
 *
 * Prints what the sketch sends, and ends at the first ">" behind the last byte of the input; with
 * status 1 if the sketch crashes, or takes longer than any does that works.
 */
#include <stdio.h>
#include <stdlib.h>

#include <simavr/avr_uart.h>
#include <simavr/sim_avr.h>
#include <simavr/sim_elf.h>

static const avr_cycle_count_t LONGEST = 3000000000u;

static avr_irq_t *receiver;
static FILE *input;
static long asked; /* bytes that the sketch waits for */
static long answer;
static int has_room;
static int is_through;

static void send(void)
{
    while (has_room && asked > 0 && !is_through) {
        int byte = getc(input);
        if (byte == EOF) {
            is_through = 1;
        } else {
            asked--;
            avr_raise_irq(receiver, (uint32_t)byte);
        }
    }
}

static void on_room(struct avr_irq_t *irq, uint32_t value, void *parameter)
{
    (void)irq;
    (void)value;
    (void)parameter;
    has_room = 1;
    send();
}

static void on_full(struct avr_irq_t *irq, uint32_t value, void *parameter)
{
    (void)irq;
    (void)value;
    (void)parameter;
    has_room = 0;
}

static void on_byte(struct avr_irq_t *irq, uint32_t value, void *parameter)
{
    (void)irq;
    (void)parameter;
    putchar((int)(value & 255));
    if ((value & 255) == '>') {
        asked += answer;
        send();
    }
}

int main(int argc, char **argv)
{
    if (argc != 5) {
        return 2;
    }
    elf_firmware_t sketch = {0};
    avr_t *avr = avr_make_mcu_by_name(argv[1]);
    input = fopen(argv[4], "rb");
    answer = atol(argv[3]);
    if (avr == NULL || input == NULL || elf_read_firmware(argv[2], &sketch) != 0) {
        return 2;
    }
    avr_init(avr);
    avr->frequency = 16000000;
    avr_load_firmware(avr, &sketch);
    const uint32_t uart = AVR_IOCTL_UART_GETIRQ('0');
    uint32_t flags = 0;
    avr_ioctl(avr, AVR_IOCTL_UART_GET_FLAGS('0'), &flags);
    flags &= ~(uint32_t)(AVR_UART_FLAG_STDIO | AVR_UART_FLAG_POLL_SLEEP);
    avr_ioctl(avr, AVR_IOCTL_UART_SET_FLAGS('0'), &flags);
    receiver = avr_io_getirq(avr, uart, UART_IRQ_INPUT);
    avr_irq_register_notify(avr_io_getirq(avr, uart, UART_IRQ_OUTPUT), on_byte, NULL);
    avr_irq_register_notify(avr_io_getirq(avr, uart, UART_IRQ_OUT_XON), on_room, NULL);
    avr_irq_register_notify(avr_io_getirq(avr, uart, UART_IRQ_OUT_XOFF), on_full, NULL);
    int state = cpu_Running;
    while (!is_through && state != cpu_Crashed && state != cpu_Done && avr->cycle < LONGEST) {
        state = avr_run(avr);
    }
    return is_through ? 0 : 1;
}
