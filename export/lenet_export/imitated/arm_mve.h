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

static inline uint8x16_t vandq_u8(uint8x16_t x, uint8x16_t y)
{
    for (int k = 0; k < 16; k++) {
        x.lane[k] = (uint8_t)(x.lane[k] & y.lane[k]);
    }
    return x;
}

static inline uint8x16_t vshrq_n_u8(uint8x16_t x, int places)
{
    for (int k = 0; k < 16; k++) {
        x.lane[k] = (uint8_t)(x.lane[k] >> places);
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

static inline int32_t vaddvaq_s8(int32_t acc, int8x16_t x)
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
    int64_t sum = acc;
    for (int k = 0; k < 16; k++) {
        sum += x.lane[k] * y.lane[k];
    }
    return (int32_t)(sum & 0xFFFFFFFF);
}

typedef struct {
    uint16_t lane[8];
} uint16x8_t;

typedef struct {
    int32_t lane[4];
} int32x4_t;

typedef struct {
    uint32_t lane[4];
} uint32x4_t;

static inline int8x16_t vdupq_n_s8(int8_t value)
{
    int8x16_t vector;
    for (int k = 0; k < 16; k++) {
        vector.lane[k] = value;
    }
    return vector;
}

static inline int8x16_t vldrbq_z_s8(const int8_t *from, mve_pred16_t lanes)
{
    int8x16_t vector;
    for (int k = 0; k < 16; k++) {
        vector.lane[k] = (int8_t)((lanes >> k & 1) != 0 ? from[k] : 0);
    }
    return vector;
}

static inline void vstrbq_p_s8(int8_t *to, int8x16_t vector, mve_pred16_t lanes)
{
    for (int k = 0; k < 16; k++) {
        if ((lanes >> k & 1) != 0) {
            to[k] = vector.lane[k];
        }
    }
}

static inline int8x16_t vldrbq_gather_offset_s8(const int8_t *from, uint8x16_t offsets)
{
    int8x16_t vector;
    for (int k = 0; k < 16; k++) {
        vector.lane[k] = from[offsets.lane[k]];
    }
    return vector;
}

/* The sum of all products. */
static inline int32_t vmladavq_s8(int8x16_t x, int8x16_t y)
{
    return vmladavaq_s8(0, x, y);
}

static inline int32x4_t vldrwq_s32(const int32_t *from)
{
    int32x4_t vector;
    for (int k = 0; k < 4; k++) {
        vector.lane[k] = from[k];
    }
    return vector;
}

static inline void vstrwq_s32(int32_t *to, int32x4_t vector)
{
    for (int k = 0; k < 4; k++) {
        to[k] = vector.lane[k];
    }
}

static inline int32x4_t vdupq_n_s32(int32_t value)
{
    int32x4_t vector;
    for (int k = 0; k < 4; k++) {
        vector.lane[k] = value;
    }
    return vector;
}

/* No sum of the generated C wraps. */
static inline int32x4_t vaddq_s32(int32x4_t x, int32x4_t y)
{
    for (int k = 0; k < 4; k++) {
        x.lane[k] += y.lane[k];
    }
    return x;
}

/* The upper half of twice the product; that of the two least numbers, which saturates, is not asked for. */
static inline int32x4_t vqdmulhq_s32(int32x4_t x, int32x4_t y)
{
    for (int k = 0; k < 4; k++) {
        int64_t product = (int64_t)x.lane[k] * y.lane[k];
        x.lane[k] = (int32_t)(product >> 31);
    }
    return x;
}

static inline uint16_t imitated_narrowed(int32_t value)
{
    return (uint16_t)(value < 0 ? 0 : value > 0xFFFF ? 0xFFFF : value);
}

/* Narrowed to 0 .. 2^16 - 1, in the even lanes ... */
static inline uint16x8_t vqmovunbq_s32(uint16x8_t others, int32x4_t x)
{
    for (int k = 0; k < 4; k++) {
        others.lane[2 * k] = imitated_narrowed(x.lane[k]);
    }
    return others;
}

/* ... and in the odd ones. */
static inline uint16x8_t vqmovuntq_s32(uint16x8_t others, int32x4_t x)
{
    for (int k = 0; k < 4; k++) {
        others.lane[2 * k + 1] = imitated_narrowed(x.lane[k]);
    }
    return others;
}

static inline uint16x8_t vreinterpretq_u16_s32(int32x4_t x)
{
    uint16x8_t vector;
    for (int k = 0; k < 4; k++) {
        uint32_t bits = (uint32_t)x.lane[k];
        vector.lane[2 * k] = (uint16_t)(bits & 0xFFFF);
        vector.lane[2 * k + 1] = (uint16_t)(bits >> 16);
    }
    return vector;
}

static inline uint32x4_t vreinterpretq_u32_u16(uint16x8_t x)
{
    uint32x4_t vector;
    for (int k = 0; k < 4; k++) {
        vector.lane[k] = x.lane[2 * k] | (uint32_t)x.lane[2 * k + 1] << 16;
    }
    return vector;
}

static inline uint32x4_t vshrq_n_u32(uint32x4_t x, int places)
{
    for (int k = 0; k < 4; k++) {
        x.lane[k] >>= places;
    }
    return x;
}

/* The first `count` lanes of four, of which each has four bits. */
static inline mve_pred16_t vctp32q(uint32_t count)
{
    return vctp8q(count < 4 ? 4 * count : 16);
}

static inline void vstrbq_p_u32(uint8_t *to, uint32x4_t vector, mve_pred16_t lanes)
{
    for (int k = 0; k < 4; k++) {
        if ((lanes >> 4 * k & 1) != 0) {
            to[k] = (uint8_t)(vector.lane[k] & 0xFF);
        }
    }
}

static inline void vstrbq_u32(uint8_t *to, uint32x4_t vector)
{
    vstrbq_p_u32(to, vector, 0xFFFF);
}

static inline uint16x8_t vdupq_n_u16(uint16_t value)
{
    uint16x8_t vector;
    for (int k = 0; k < 8; k++) {
        vector.lane[k] = value;
    }
    return vector;
}

static inline uint16x8_t vminq_u16(uint16x8_t x, uint16x8_t y)
{
    for (int k = 0; k < 8; k++) {
        x.lane[k] = x.lane[k] < y.lane[k] ? x.lane[k] : y.lane[k];
    }
    return x;
}

static inline uint16x8_t vmaxq_u16(uint16x8_t x, uint16x8_t y)
{
    for (int k = 0; k < 8; k++) {
        x.lane[k] = x.lane[k] > y.lane[k] ? x.lane[k] : y.lane[k];
    }
    return x;
}

static inline uint16x8_t vaddq_u16(uint16x8_t x, uint16x8_t y)
{
    for (int k = 0; k < 8; k++) {
        x.lane[k] = (uint16_t)((x.lane[k] + y.lane[k]) & 0xFFFF);
    }
    return x;
}

static inline uint16x8_t vaddq_n_u16(uint16x8_t x, uint16_t y)
{
    return vaddq_u16(x, vdupq_n_u16(y));
}

static inline uint16x8_t vsubq_n_u16(uint16x8_t x, uint16_t y)
{
    return vaddq_n_u16(x, (uint16_t)(0x10000u - y));
}

static inline uint16x8_t vshrq_n_u16(uint16x8_t x, int places)
{
    for (int k = 0; k < 8; k++) {
        x.lane[k] = (uint16_t)(x.lane[k] >> places);
    }
    return x;
}

/* Rounded half up. */
static inline uint16x8_t vrshrq_n_u16(uint16x8_t x, int places)
{
    for (int k = 0; k < 8; k++) {
        x.lane[k] = (uint16_t)((x.lane[k] + (1u << (places - 1))) >> places);
    }
    return x;
}

/* The upper halves of the products. */
static inline uint16x8_t vmulhq_u16(uint16x8_t x, uint16x8_t y)
{
    for (int k = 0; k < 8; k++) {
        x.lane[k] = (uint16_t)((uint32_t)x.lane[k] * y.lane[k] >> 16);
    }
    return x;
}

static inline uint16x8_t vldrbq_gather_offset_u16(const uint8_t *from, uint16x8_t offsets)
{
    uint16x8_t vector;
    for (int k = 0; k < 8; k++) {
        vector.lane[k] = from[offsets.lane[k]];
    }
    return vector;
}

#endif
