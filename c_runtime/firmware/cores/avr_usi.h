/* avr_usi.h - the USI as the line of avr.c, for chips that have no UART: three wires, as SPI's mode 0.
 * SPDX-License-Identifier: 0BSD
 *
 * The chip gives the clock. Two others share the wires, of which one at a time is selected, by a low
 * pin: PB3 who sends rows, PB4 who takes the record.
 */
enum { SENDER = _BV(PB3), TAKER = _BV(PB4) };

static void begin_line(void)
{
    PORTB = SENDER | TAKER;
    DDRB = _BV(PB1) | _BV(PB2) | SENDER | TAKER; /* data out, clock */
}

static void end_line(void)
{
}

/* Sends a byte to one of the others, and returns what came from it meanwhile. */
static uint8_t exchange(uint8_t other, uint8_t byte)
{
    PORTB = (uint8_t)~other & (SENDER | TAKER);
    USIDR = byte;
    USISR = _BV(USIOIF);
    do {
        USICR = _BV(USIWM0) | _BV(USICS1) | _BV(USICLK) | _BV(USITC);
    } while (!(USISR & _BV(USIOIF)));
    PORTB = SENDER | TAKER;
    return USIDR;
}

static uint8_t receive(void)
{
    return exchange(SENDER, 0);
}

static void send(uint8_t byte)
{
    exchange(TAKER, byte);
}
