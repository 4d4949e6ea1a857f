/* The intrinsics of Arm's vector extension MVE that the generated C uses, in plain C: so that what
 * was printed for a Cortex-M55 can be compiled and compared with JAX on any machine.
 *
 * Source: Arm MVE Intrinsics Reference. */
#ifndef IMITATED_ARM_MVE_H
#define IMITATED_ARM_MVE_H

#include <stdint.h>

typedef struct {
    uint8_t lane[16];
} uint8x16_t;

typedef struct {
    int8_t lane[16];
} int8x16_t;

static inline uint8x16_t vldrbq_u8(const uint8_t *from)
{
    uint8x16_t vector;
    for (int k = 0; k < 16; k++) {
        vector.lane[k] = from[k];
    }
    return vector;
}

static inline int8x16_t vldrbq_s8(const int8_t *from)
{
    int8x16_t vector;
    for (int k = 0; k < 16; k++) {
        vector.lane[k] = from[k];
    }
    return vector;
}

/* A bit for each lane. */
typedef uint16_t mve_pred16_t;

/* The first `count` lanes. */
static inline mve_pred16_t vctp8q(uint32_t count)
{
    return (mve_pred16_t)(count < 16 ? (1u << count) - 1 : 0xFFFF);
}

static inline uint8x16_t vldrbq_z_u8(const uint8_t *from, mve_pred16_t lanes)
{
    uint8x16_t vector;
    for (int k = 0; k < 16; k++) {
        vector.lane[k] = (uint8_t)((lanes >> k & 1) != 0 ? from[k] : 0);
    }
    return vector;
}

static inline void vstrbq_p_u8(uint8_t *to, uint8x16_t vector, mve_pred16_t lanes)
{
    for (int k = 0; k < 16; k++) {
        if ((lanes >> k & 1) != 0) {
            to[k] = vector.lane[k];
        }
    }
}

static inline uint8x16_t vldrbq_gather_offset_u8(const uint8_t *from, uint8x16_t offsets)
{
    uint8x16_t vector;
    for (int k = 0; k < 16; k++) {
        vector.lane[k] = from[offsets.lane[k]];
    }
    return vector;
}

static inline uint8x16_t vdupq_n_u8(uint8_t value)
{
    uint8x16_t vector;
    for (int k = 0; k < 16; k++) {
        vector.lane[k] = value;
    }
    return vector;
}

static inline uint8x16_t veorq_u8(uint8x16_t x, uint8x16_t y)
{
    for (int k = 0; k < 16; k++) {
        x.lane[k] = (uint8_t)(x.lane[k] ^ y.lane[k]);
    }
    return x;
}

static inline int8x16_t vreinterpretq_s8_u8(uint8x16_t x)
{
    int8x16_t vector;
    for (int k = 0; k < 16; k++) {
        vector.lane[k] = (int8_t)(x.lane[k] < 128 ? x.lane[k] : x.lane[k] - 256);
    }
    return vector;
}

/* acc + the sum of all lanes. */
static inline uint32_t vaddvaq_u8(uint32_t acc, uint8x16_t x)
{
    for (int k = 0; k < 16; k++) {
        acc += x.lane[k];
    }
    return acc;
}

/* The largest of `least` and all lanes. */
static inline uint8_t vmaxvq_u8(uint8_t least, uint8x16_t x)
{
    for (int k = 0; k < 16; k++) {
        least = x.lane[k] > least ? x.lane[k] : least;
    }
    return least;
}

/* acc + the sum of all products; it wraps, as the instruction does. */
static inline int32_t vmladavaq_s8(int32_t acc, int8x16_t x, int8x16_t y)
{
    uint32_t sum = (uint32_t)acc;
    for (int k = 0; k < 16; k++) {
        sum += (uint32_t)(x.lane[k] * y.lane[k]);
    }
    return (int32_t)sum;
}

#endif
