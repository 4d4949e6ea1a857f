/* Arduino.h - what uno.ino uses of Arduino's core, on the UART of the simulated chip, so that the
 * sketch runs without that core. The input is that of the firmware: its length comes first. */
#include <avr/interrupt.h>
#include <avr/io.h>
#include <avr/sleep.h>
#include <stdint.h>

void setup();
void loop();

class UartOfTheTests
{
    uint32_t left = 0;

    static uint8_t receive()
    {
        while (!(UCSR0A & _BV(RXC0))) {
        }
        return UDR0;
    }

    static void send(uint8_t byte)
    {
        while (!(UCSR0A & _BV(UDRE0))) {
        }
        UDR0 = byte;
    }

  public:
    void begin(unsigned long)
    {
        UCSR0A = _BV(U2X0);
        UCSR0B = _BV(RXEN0) | _BV(TXEN0);
        for (uint8_t shift = 0; shift < 32; shift += 8) {
            left |= (uint32_t)receive() << shift;
        }
    }

    void setTimeout(unsigned long)
    {
    }

    /* Where the input ends, the program does. */
    void readBytes(uint8_t *bytes, unsigned size)
    {
        for (unsigned i = 0; i < size; i++) {
            if (left == 0) {
                GPIOR0 = 0;
                cli();
                sleep_mode();
            }
            bytes[i] = receive();
            left--;
        }
    }

    void write(char byte)
    {
        send((uint8_t)byte);
    }

    void println(const char *text)
    {
        for (; *text != '\0'; text++) {
            send((uint8_t)*text);
        }
        send('\n');
    }

    void println(int digit)
    {
        send((uint8_t)('0' + digit));
        send('\n');
    }
};

static UartOfTheTests Serial;

int main()
{
    setup();
    for (;;) {
        loop();
    }
}
