/* The intrinsics of Arm's C language extensions (ACLE) that the generated C uses, in plain C: so
 * that what was printed for an Arm CPU can be compiled and compared with JAX on any machine.
 *
 * Source: Arm C Language Extensions, ACLE Q3 2020, sections 9.4 and 9.5. */
#ifndef IMITATED_ARM_ACLE_H
#define IMITATED_ARM_ACLE_H

#include <stdint.h>

typedef int32_t int8x4_t;
typedef uint32_t uint8x4_t;
typedef int32_t int16x2_t;
typedef uint32_t uint16x2_t;

/* Clamps to 0 .. 2^bits - 1. */
static inline uint32_t __usat(int32_t value, uint32_t bits)
{
    int32_t top = (int32_t)((1u << bits) - 1);
    return (uint32_t)(value < 0 ? 0 : value > top ? top : value);
}

/* Two halfwords side by side. */
static inline int16x2_t imitated_pair(uint32_t low, uint32_t high)
{
    return (int16x2_t)((low & 0xFFFF) | high << 16);
}

/* Bytes 0 and 2 as signed halfwords. */
static inline int16x2_t __sxtb16(int8x4_t bytes)
{
    uint32_t word = (uint32_t)bytes;
    return imitated_pair((uint32_t)(int8_t)(word & 0xFF), (uint32_t)(int8_t)(word >> 16 & 0xFF));
}

/* Bytes 0 and 2 as unsigned halfwords. */
static inline uint16x2_t __uxtb16(uint8x4_t bytes)
{
    uint32_t word = (uint32_t)bytes;
    return imitated_pair(word & 0xFF, word >> 16 & 0xFF);
}

/* acc + the differences of the bytes, each without its sign. */
static inline uint32_t __usada8(uint8x4_t x, uint8x4_t y, uint32_t acc)
{
    for (int k = 0; k < 32; k += 8) {
        int32_t difference = (int32_t)(x >> k & 255) - (int32_t)(y >> k & 255);
        acc += (uint32_t)(difference < 0 ? -difference : difference);
    }
    return acc;
}

/* Half the sums of the bytes, rounded down. */
static inline uint8x4_t __uhadd8(uint8x4_t x, uint8x4_t y)
{
    uint8x4_t halves = 0;
    for (int k = 0; k < 32; k += 8) {
        halves |= ((x >> k & 255) + (y >> k & 255)) / 2 << k;
    }
    return halves;
}

/* acc + the products of the low and of the high halfwords; it wraps, as the instruction does. */
static inline int32_t __smlad(int16x2_t x, int16x2_t y, int32_t acc)
{
    int32_t low = (int16_t)(x & 0xFFFF) * (int16_t)(y & 0xFFFF);
    int32_t high = (int16_t)((uint32_t)x >> 16) * (int16_t)((uint32_t)y >> 16);
    return (int32_t)((uint32_t)acc + (uint32_t)low + (uint32_t)high);
}

/* acc + the product of the low halfword of x and the high one of y. */
static inline int32_t __smlabt(int32_t x, int32_t y, int32_t acc)
{
    int32_t product = (int16_t)(x & 0xFFFF) * (int16_t)((uint32_t)y >> 16);
    return (int32_t)((uint32_t)acc + (uint32_t)product);
}

/* acc + the product of the high halfword of x and the low one of y. */
static inline int32_t __smlatb(int32_t x, int32_t y, int32_t acc)
{
    return __smlabt(y, x, acc);
}

#endif
