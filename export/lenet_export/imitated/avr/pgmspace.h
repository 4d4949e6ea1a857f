/* What the generated C uses of avr-libc's <avr/pgmspace.h>, for machines with one memory: so that
 * what was printed for an AVR can be compiled and compared with JAX on any machine. */
#ifndef IMITATED_AVR_PGMSPACE_H
#define IMITATED_AVR_PGMSPACE_H

#include <stdint.h>

/* avr-gcc's own types; the accumulators that have them fit. */
#define __int24 int32_t
#define __uint24 uint32_t

#define PROGMEM
#define pgm_read_byte(address) (*(const volatile uint8_t *)(address))
#define pgm_read_word(address) (*(const volatile uint16_t *)(address))
#define pgm_read_dword(address) (*(const volatile uint32_t *)(address))
#define pgm_read_float(address) (*(const volatile float *)(address))

#endif
