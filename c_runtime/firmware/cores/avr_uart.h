/* avr_uart.h - UART 0 as the line of avr.c: 2 Mbaud at 16 MHz, 8 data bits, no parity, 1 stop bit.
 * SPDX-License-Identifier: 0BSD
 */
static void begin_line(void)
{
    UBRR0 = 0;
    UCSR0A = _BV(U2X0);
    UCSR0C = _BV(UCSZ01) | _BV(UCSZ00);
    UCSR0B = _BV(RXEN0) | _BV(TXEN0);
}

/* Waits until what was sent is on its way. */
static void end_line(void)
{
    while (!(UCSR0A & _BV(UDRE0))) {
    }
}

static uint8_t receive(void)
{
    uint8_t status;
    do {
        status = UCSR0A;
    } while (!(status & _BV(RXC0)));
    if (status & (_BV(DOR0) | _BV(FE0))) {
        board_print(TEXT("a byte of the input was lost\n"));
        stop(2);
    }
    return UDR0;
}

static void send(uint8_t byte)
{
    while (!(UCSR0A & _BV(UDRE0))) {
    }
    UDR0 = byte;
}
