/* The intrinsics of Arm's NEON that the generated C for AArch64 uses, in GCC's and clang's own vectors: so
 * that it can be compiled and compared with JAX on any machine. Sums and products wrap, as the
 * instructions' do.
 *
 * Source: Arm Neon Intrinsics Reference. */
#ifndef IMITATED_ARM_NEON_H
#define IMITATED_ARM_NEON_H

#include <stdint.h>

/* No inline functions: a kernel calls them thousands of times, and a compiler would take minutes. */
#define IMITATED static __attribute__((noinline, unused))

#define IMITATED_VECTOR(type, bytes) type __attribute__((vector_size(bytes)))
typedef IMITATED_VECTOR(uint8_t, 16) uint8x16_t;
typedef IMITATED_VECTOR(uint16_t, 16) uint16x8_t;
typedef IMITATED_VECTOR(uint32_t, 16) uint32x4_t;
typedef IMITATED_VECTOR(int8_t, 16) int8x16_t;
typedef IMITATED_VECTOR(int32_t, 16) int32x4_t;
typedef IMITATED_VECTOR(int64_t, 16) int64x2_t;
typedef IMITATED_VECTOR(float, 16) float32x4_t;
typedef IMITATED_VECTOR(uint8_t, 8) uint8x8_t;
typedef IMITATED_VECTOR(uint16_t, 8) uint16x4_t;
typedef IMITATED_VECTOR(uint64_t, 8) uint64x1_t;
typedef IMITATED_VECTOR(int16_t, 8) int16x4_t;

typedef struct {
    uint8x16_t val[4];
} uint8x16x4_t;

/* Of each lane of `made`, called k. */
#define IMITATED_LANES(made, lanes, value)                                                         \
    do {                                                                                           \
        for (int k = 0; k < (lanes); k++) {                                                        \
            (made)[k] = (value);                                                                   \
        }                                                                                          \
    } while (0)

/* ---- Loads and stores: at any address ---- */

#define IMITATED_LOAD(name, vector, type)                                                          \
    IMITATED vector name(const type *from)                                                    \
    {                                                                                              \
        vector made;                                                                               \
        __builtin_memcpy(&made, from, sizeof made);                                                \
        return made;                                                                               \
    }
#define IMITATED_STORE(name, vector, type)                                                         \
    IMITATED void name(type *to, vector from)                                                 \
    {                                                                                              \
        __builtin_memcpy(to, &from, sizeof from);                                                  \
    }
IMITATED_LOAD(vld1_u8, uint8x8_t, uint8_t)
IMITATED_LOAD(vld1_s16, int16x4_t, int16_t)
IMITATED_LOAD(vld1q_u8, uint8x16_t, uint8_t)
IMITATED_LOAD(vld1q_u8_x4, uint8x16x4_t, uint8_t)
IMITATED_LOAD(vld1q_s8, int8x16_t, int8_t)
IMITATED_LOAD(vld1_u16, uint16x4_t, uint16_t)
IMITATED_LOAD(vld1q_s32, int32x4_t, int32_t)
IMITATED_LOAD(vld1q_f32, float32x4_t, float)
IMITATED_STORE(vst1_u8, uint8x8_t, uint8_t)
IMITATED_STORE(vst1q_u8, uint8x16_t, uint8_t)
IMITATED_STORE(vst1_u16, uint16x4_t, uint16_t)
IMITATED_STORE(vst1q_s32, int32x4_t, int32_t)
IMITATED_STORE(vst1q_f32, float32x4_t, float)

/* ---- The same number in all lanes, one lane, the same bits ---- */

#define IMITATED_DUP(name, vector, type, lanes)                                                    \
    IMITATED vector name(type number)                                                         \
    {                                                                                              \
        vector made;                                                                               \
        IMITATED_LANES(made, lanes, number);                                                       \
        return made;                                                                               \
    }
IMITATED_DUP(vdupq_n_u8, uint8x16_t, uint8_t, 16)
IMITATED_DUP(vdupq_n_u16, uint16x8_t, uint16_t, 8)
IMITATED_DUP(vdupq_n_u32, uint32x4_t, uint32_t, 4)
IMITATED_DUP(vdupq_n_s32, int32x4_t, int32_t, 4)
IMITATED_DUP(vdupq_n_f32, float32x4_t, float, 4)

#define vdupq_laneq_s32(a, lane) vdupq_n_s32((a)[lane])
#define vgetq_lane_u8(a, lane) ((a)[lane])
#define vgetq_lane_s32(a, lane) ((a)[lane])
#define vgetq_lane_f32(a, lane) ((a)[lane])
#define vget_lane_u64(a, lane) ((a)[lane])

#define vreinterpretq_u8_u16(a) ((uint8x16_t)(a))
#define vreinterpretq_u8_s32(a) ((uint8x16_t)(a))
#define vreinterpretq_u8_f32(a) ((uint8x16_t)(a))
#define vreinterpretq_u8_s64(a) ((uint8x16_t)(a))
#define vreinterpretq_s8_s32(a) ((int8x16_t)(a))
#define vreinterpretq_s32_s8(a) ((int32x4_t)(a))
#define vreinterpretq_s64_s32(a) ((int64x2_t)(a))
#define vreinterpretq_s8_u8(a) ((int8x16_t)(a))
#define vreinterpretq_u16_s32(a) ((uint16x8_t)(a))
#define vreinterpret_s16_u16(a) ((int16x4_t)(a))
#define vreinterpretq_u32_s32(a) ((uint32x4_t)(a))
#define vreinterpretq_s32_u8(a) ((int32x4_t)(a))
#define vreinterpretq_s32_u32(a) ((int32x4_t)(a))
#define vreinterpretq_s32_f32(a) ((int32x4_t)(a))
#define vreinterpretq_f32_s32(a) ((float32x4_t)(a))
#define vreinterpret_u64_u16(a) ((uint64x1_t)(a))

/* ---- Lane by lane ---- */

#define IMITATED_BINARY(name, vector, lanes, value)                                                \
    IMITATED vector name(vector a, vector b)                                                  \
    {                                                                                              \
        vector made;                                                                               \
        IMITATED_LANES(made, lanes, value);                                                        \
        return made;                                                                               \
    }
IMITATED_BINARY(veorq_u8, uint8x16_t, 16, (uint8_t)(a[k] ^ b[k]))
IMITATED_BINARY(vandq_u8, uint8x16_t, 16, (uint8_t)(a[k] & b[k]))
IMITATED_BINARY(vsubq_u8, uint8x16_t, 16, (uint8_t)(a[k] - b[k]))
IMITATED_BINARY(vmulq_u8, uint8x16_t, 16, (uint8_t)(a[k] * b[k]))
IMITATED_BINARY(vmaxq_u8, uint8x16_t, 16, a[k] > b[k] ? a[k] : b[k])
IMITATED_BINARY(vcgtq_u8, uint8x16_t, 16, a[k] > b[k] ? 255 : 0)
IMITATED_BINARY(vceqq_u8, uint8x16_t, 16, a[k] == b[k] ? 255 : 0)
IMITATED_BINARY(vminq_u16, uint16x8_t, 8, a[k] < b[k] ? a[k] : b[k])
IMITATED_BINARY(vaddq_u16, uint16x8_t, 8, (uint16_t)(a[k] + b[k]))
IMITATED_BINARY(vaddq_s32, int32x4_t, 4, (int32_t)((uint32_t)a[k] + (uint32_t)b[k]))
IMITATED_BINARY(vmulq_s32, int32x4_t, 4, (int32_t)((uint32_t)a[k] * (uint32_t)b[k]))
IMITATED_BINARY(vmaxq_s32, int32x4_t, 4, a[k] > b[k] ? a[k] : b[k])
/* The upper half of twice the product; two of the least numbers are none of ours. */
IMITATED_BINARY(vqdmulhq_s32, int32x4_t, 4, (int32_t)((int64_t)a[k] * b[k] >> 31))
#define vqdmulhq_laneq_s32(a, b, lane) vqdmulhq_s32(a, vdupq_n_s32((b)[lane]))
IMITATED_BINARY(vaddq_f32, float32x4_t, 4, a[k] + b[k])
IMITATED_BINARY(vsubq_f32, float32x4_t, 4, a[k] - b[k])
IMITATED_BINARY(vmulq_f32, float32x4_t, 4, a[k] * b[k])
IMITATED_BINARY(vdivq_f32, float32x4_t, 4, a[k] / b[k])
IMITATED_BINARY(vmaxq_f32, float32x4_t, 4, a[k] > b[k] ? a[k] : b[k])
IMITATED_BINARY(vminq_f32, float32x4_t, 4, a[k] < b[k] ? a[k] : b[k])

/* Bits of b where those of `mask` are 1, else of c. */
IMITATED uint8x16_t vbslq_u8(uint8x16_t mask, uint8x16_t b, uint8x16_t c)
{
    return (b & mask) | (c & ~mask);
}

/* Shifted left by as many places as a lane of b says; right, and rounded down, where that is negative. */
IMITATED int32x4_t vshlq_s32(int32x4_t a, int32x4_t b)
{
    int32x4_t made;
    IMITATED_LANES(made, 4, b[k] < 0 ? a[k] >> -b[k] : (int32_t)((uint32_t)a[k] << b[k]));
    return made;
}

IMITATED uint32x4_t vshlq_u32(uint32x4_t a, int32x4_t b)
{
    uint32x4_t made;
    IMITATED_LANES(made, 4, b[k] < 0 ? a[k] >> -b[k] : a[k] << b[k]);
    return made;
}

/* The same, with half of what is shifted out's unit added before. */
IMITATED uint32x4_t vrshlq_u32(uint32x4_t a, int32x4_t b)
{
    IMITATED_LANES(a, 4, b[k] < 0 ? a[k] + (1u << (-b[k] - 1)) : a[k]);
    return vshlq_u32(a, b);
}

#define vshlq_n_s32(a, places) vshlq_s32(a, vdupq_n_s32(places))

/* a + b * c, as if rounded once. */
IMITATED float32x4_t vfmaq_f32(float32x4_t a, float32x4_t b, float32x4_t c)
{
    float32x4_t made;
    IMITATED_LANES(made, 4, (float)((double)b[k] * (double)c[k] + (double)a[k]));
    return made;
}

#define vfmaq_laneq_f32(a, b, c, lane) vfmaq_f32(a, b, vdupq_n_f32((c)[lane]))

IMITATED int32x4_t vcvtq_s32_f32(float32x4_t a)
{
    int32x4_t made;
    IMITATED_LANES(made, 4, (int32_t)a[k]);
    return made;
}

IMITATED float32x4_t vcvtq_f32_u32(uint32x4_t a)
{
    float32x4_t made;
    IMITATED_LANES(made, 4, (float)a[k]);
    return made;
}

/* To the next integer, of two as near to the even one. What has no fraction stays. */
IMITATED float32x4_t vrndnq_f32(float32x4_t a)
{
    for (int k = 0; k < 4; k++) {
        if (a[k] > -8388608.0f && a[k] < 8388608.0f) {
            int32_t whole = (int32_t)a[k];
            float left = a[k] - (float)whole;
            whole += left > 0.5f || (left == 0.5f && (whole & 1));
            whole -= left < -0.5f || (left == -0.5f && (whole & 1));
            a[k] = (float)whole;
        }
    }
    return a;
}

/* ---- Products of narrow numbers ---- */

IMITATED int32x4_t vmlal_lane_s16(int32x4_t a, int16x4_t b, int16x4_t c, int lane)
{
    IMITATED_LANES(a, 4, (int32_t)((uint32_t)a[k] + (uint32_t)(b[k] * c[lane])));
    return a;
}

/* Four bytes of a lane with the four of c's lane `lane`. */
IMITATED int32x4_t vdotq_laneq_s32(int32x4_t a, int8x16_t b, int8x16_t c, int lane)
{
    for (int k = 0; k < 16; k++) {
        a[k / 4] = (int32_t)((uint32_t)a[k / 4] + (uint32_t)(b[k] * c[4 * lane + k % 4]));
    }
    return a;
}

IMITATED uint32x4_t vdotq_u32(uint32x4_t a, uint8x16_t b, uint8x16_t c)
{
    for (int k = 0; k < 16; k++) {
        a[k / 4] += (uint32_t)(b[k] * c[k]);
    }
    return a;
}

/* ---- Neighbours, and all lanes ---- */

IMITATED uint16x8_t vpaddlq_u8(uint8x16_t a)
{
    uint16x8_t made;
    IMITATED_LANES(made, 8, (uint16_t)(a[2 * k] + a[2 * k + 1]));
    return made;
}

IMITATED uint16x8_t vpadalq_u8(uint16x8_t a, uint8x16_t b)
{
    IMITATED_LANES(a, 8, (uint16_t)(a[k] + b[2 * k] + b[2 * k + 1]));
    return a;
}

IMITATED_BINARY(vpmaxq_s32, int32x4_t, 4,
                k < 2 ? (a[2 * k % 4] > a[2 * k % 4 + 1] ? a[2 * k % 4] : a[2 * k % 4 + 1])
                      : (b[2 * k % 4] > b[2 * k % 4 + 1] ? b[2 * k % 4] : b[2 * k % 4 + 1]))

IMITATED uint32x4_t vpadalq_u16(uint32x4_t a, uint16x8_t b)
{
    IMITATED_LANES(a, 4, a[k] + b[2 * k] + b[2 * k + 1]);
    return a;
}

IMITATED uint32_t vaddvq_u32(uint32x4_t a)
{
    return a[0] + a[1] + a[2] + a[3];
}

IMITATED uint8_t vmaxvq_u8(uint8x16_t a)
{
    uint8_t largest = 0;
    for (int k = 0; k < 16; k++) {
        largest = a[k] > largest ? a[k] : largest;
    }
    return largest;
}

/* ---- Narrower and wider ---- */

#define IMITATED_TO(name, vector, from, lanes, value)                                              \
    IMITATED vector name(from a)                                                              \
    {                                                                                              \
        vector made;                                                                               \
        IMITATED_LANES(made, lanes, value);                                                        \
        return made;                                                                               \
    }
IMITATED_TO(vqmovun_s32, uint16x4_t, int32x4_t, 4,
            (uint16_t)(a[k] < 0 ? 0 : a[k] > 65535 ? 65535 : a[k]))
IMITATED_TO(vqmovn_u16, uint8x8_t, uint16x8_t, 8, (uint8_t)(a[k] > 255 ? 255 : a[k]))
IMITATED_TO(vmovn_u32, uint16x4_t, uint32x4_t, 4, (uint16_t)(a[k] & 65535))
IMITATED_TO(vmovl_u8, uint16x8_t, uint8x8_t, 8, a[k])
IMITATED_TO(vmovl_u16, uint32x4_t, uint16x4_t, 4, a[k])
IMITATED_TO(vget_low_u8, uint8x8_t, uint8x16_t, 8, a[k])
IMITATED_TO(vget_low_u16, uint16x4_t, uint16x8_t, 4, a[k])
IMITATED_TO(vget_high_u16, uint16x4_t, uint16x8_t, 4, a[k + 4])

/* Shifted right, rounded half up. */
IMITATED uint8x8_t vrshrn_n_u16(uint16x8_t a, int places)
{
    uint8x8_t made;
    IMITATED_LANES(made, 8, (uint8_t)(((a[k] + (1 << (places - 1))) >> places) & 255));
    return made;
}

/* ---- Places ---- */

IMITATED uint8x16_t vcombine_u8(uint8x8_t low, uint8x8_t high)
{
    uint8x16_t made;
    IMITATED_LANES(made, 16, k < 8 ? low[k % 8] : high[k % 8]);
    return made;
}

IMITATED uint16x8_t vcombine_u16(uint16x4_t low, uint16x4_t high)
{
    uint16x8_t made;
    IMITATED_LANES(made, 8, k < 4 ? low[k % 4] : high[k % 4]);
    return made;
}

/* From lane `first` of a on, then from the first of b. */
IMITATED uint8x16_t vextq_u8(uint8x16_t a, uint8x16_t b, int first)
{
    uint8x16_t made;
    IMITATED_LANES(made, 16, k + first < 16 ? a[(k + first) % 16] : b[(k + first) % 16]);
    return made;
}

IMITATED int32x4_t vextq_s32(int32x4_t a, int32x4_t b, int first)
{
    int32x4_t made;
    IMITATED_LANES(made, 4, k + first < 4 ? a[(k + first) % 4] : b[(k + first) % 4]);
    return made;
}

IMITATED uint16x8_t vextq_u16(uint16x8_t a, uint16x8_t b, int first)
{
    uint16x8_t made;
    IMITATED_LANES(made, 8, k + first < 8 ? a[(k + first) % 8] : b[(k + first) % 8]);
    return made;
}

#define vextq_f32(a, b, first) ((float32x4_t)vextq_s32((int32x4_t)(a), (int32x4_t)(b), first))

/* The even lanes, and the odd ones, of a and then b. */
IMITATED_BINARY(vuzp1q_u8, uint8x16_t, 16, k < 8 ? a[2 * k % 16] : b[2 * k % 16])
IMITATED_BINARY(vuzp2q_u8, uint8x16_t, 16, k < 8 ? a[2 * k % 16 + 1] : b[2 * k % 16 + 1])
IMITATED_BINARY(vuzp1q_u16, uint16x8_t, 8, k < 4 ? a[2 * k % 8] : b[2 * k % 8])

/* The odd lanes of both in turn, and the first lane of each. */
IMITATED_BINARY(vtrn2q_s32, int32x4_t, 4, k % 2 == 0 ? a[k + 1] : b[k])
IMITATED_BINARY(vzip1q_s64, int64x2_t, 2, k == 0 ? a[0] : b[0])

IMITATED uint8x16_t vqtbl1q_u8(uint8x16_t table, uint8x16_t place)
{
    uint8x16_t made;
    IMITATED_LANES(made, 16, place[k] < 16 ? table[place[k] % 16] : 0);
    return made;
}

#define vqtbl1q_s8(table, place) vreinterpretq_s8_u8(vqtbl1q_u8((uint8x16_t)(table), place))

/* Of the 64 bytes of a table; what lies beyond them is that of `before`. */
IMITATED uint8x16_t vqtbx4q_u8(uint8x16_t before, uint8x16x4_t table, uint8x16_t place)
{
    IMITATED_LANES(before, 16,
                   place[k] < 64 ? table.val[place[k] / 16 % 4][place[k] % 16] : before[k]);
    return before;
}

IMITATED uint8x16_t vqtbl4q_u8(uint8x16x4_t table, uint8x16_t place)
{
    return vqtbx4q_u8(vdupq_n_u8(0), table, place);
}

#endif
