/* The intrinsics of RISC-V's vectors that the generated C uses, by their names of before version 0.11, in
 * plain C: so that it can be compiled and compared with JAX on any machine. A register, or a group of
 * them, is 16 lanes; sums and products wrap, as the instructions' do.
 *
 * Source: RISC-V Vector Intrinsics Document; The RISC-V Instruction Set Manual, "V" extension, 1.0. */
#ifndef IMITATED_RISCV_VECTOR_H
#define IMITATED_RISCV_VECTOR_H

#include <stddef.h>
#include <stdint.h>

/* No inline functions: a kernel calls them thousands of times, and a compiler would take minutes. */
#define IMITATED static __attribute__((noinline, unused))
#define IMITATED_GROUP(name, type)                                                                 \
    typedef struct {                                                                               \
        type lane[16];                                                                             \
    } name
IMITATED_GROUP(vint32m4_t, int32_t);
IMITATED_GROUP(vuint32m4_t, uint32_t);
IMITATED_GROUP(vint16m2_t, int16_t);
IMITATED_GROUP(vuint16m2_t, uint16_t);
IMITATED_GROUP(vuint8m1_t, uint8_t);
IMITATED_GROUP(vfloat32m4_t, float);

/* The bits of a sum or product that may not fit. */
#define IMITATED_WRAPPED(value) ((int32_t)(uint32_t)((uint64_t)(value) & 0xFFFFFFFFu))

/* A group whose lanes are `value`, of lane k: the first `lanes`; the others are 0. */
#define IMITATED_LANES(name, group, arguments, value)                                              \
    IMITATED group name arguments                                                                  \
    {                                                                                              \
        group made = {{0}};                                                                        \
        for (size_t k = 0; k < lanes; k++) {                                                       \
            made.lane[k] = value;                                                                  \
        }                                                                                          \
        return made;                                                                               \
    }

/* ---- Loads, stores, the same number in all lanes, their numbers ---- */

#define IMITATED_STORE(name, type, group)                                                          \
    IMITATED void name(type *to, group from, size_t lanes)                                         \
    {                                                                                              \
        for (size_t k = 0; k < lanes; k++) {                                                       \
            to[k] = from.lane[k];                                                                  \
        }                                                                                          \
    }
IMITATED_STORE(vse8_v_u8m1, uint8_t, vuint8m1_t)
IMITATED_STORE(vse32_v_i32m4, int32_t, vint32m4_t)
IMITATED_STORE(vse32_v_f32m4, float, vfloat32m4_t)
IMITATED_LANES(vle32_v_i32m4, vint32m4_t, (const int32_t *from, size_t lanes), from[k])
IMITATED_LANES(vle16_v_i16m2, vint16m2_t, (const int16_t *from, size_t lanes), from[k])
IMITATED_LANES(vluxei32_v_u8m1, vuint8m1_t, (const uint8_t *from, vuint32m4_t at, size_t lanes), from[at.lane[k]])
IMITATED_LANES(vle32_v_f32m4, vfloat32m4_t, (const float *from, size_t lanes), from[k])
IMITATED_LANES(vfmv_v_f_f32m4, vfloat32m4_t, (float number, size_t lanes), number)
IMITATED_LANES(vmv_v_x_i32m4, vint32m4_t, (int32_t number, size_t lanes), number)
IMITATED_LANES(vid_v_u32m4, vuint32m4_t, (size_t lanes), (uint32_t)k)

/* ---- Lane by lane ---- */

#define IMITATED_VECTORS (vint32m4_t a, vint32m4_t b, size_t lanes)
#define IMITATED_SHIFT (vint32m4_t a, size_t places, size_t lanes)
IMITATED_LANES(vadd_vv_i32m4, vint32m4_t, IMITATED_VECTORS, IMITATED_WRAPPED((int64_t)a.lane[k] + b.lane[k]))
IMITATED_LANES(vmul_vv_i32m4, vint32m4_t, IMITATED_VECTORS, IMITATED_WRAPPED((int64_t)a.lane[k] * b.lane[k]))
IMITATED_LANES(vmax_vv_i32m4, vint32m4_t, IMITATED_VECTORS, a.lane[k] > b.lane[k] ? a.lane[k] : b.lane[k])
IMITATED_LANES(vmin_vv_i32m4, vint32m4_t, IMITATED_VECTORS, a.lane[k] < b.lane[k] ? a.lane[k] : b.lane[k])
IMITATED_LANES(vsra_vx_i32m4, vint32m4_t, IMITATED_SHIFT, a.lane[k] >> places)
IMITATED_LANES(vsll_vx_i32m4, vint32m4_t, IMITATED_SHIFT, IMITATED_WRAPPED((int64_t)a.lane[k] * ((int64_t)1 << places)))
IMITATED_LANES(vsrl_vx_u32m4, vuint32m4_t, (vuint32m4_t a, size_t places, size_t lanes), a.lane[k] >> places)
IMITATED_LANES(vand_vx_i32m4, vint32m4_t, (vint32m4_t a, int32_t mask, size_t lanes), a.lane[k] & mask)
IMITATED_LANES(vadd_vx_u32m4, vuint32m4_t, (vuint32m4_t a, uint32_t more, size_t lanes), a.lane[k] + more)
IMITATED_LANES(vwmacc_vx_i32m4, vint32m4_t, (vint32m4_t sum, int16_t one, vint16m2_t all, size_t lanes),
               IMITATED_WRAPPED((int64_t)sum.lane[k] + one * all.lane[k]))

/* ---- Lane by lane, of floats ---- */

/* The integer next to a float below 2^22; of two, the even one. */
IMITATED int32_t imitated_next(float number)
{
    float added = number + 12582912.0f; /* 1.5 * 2^23: the last bit is that of 1 */
    int32_t bits;
    __builtin_memcpy(&bits, &added, sizeof bits);
    return bits - 0x4B400000;
}

#define IMITATED_FLOATS (vfloat32m4_t a, vfloat32m4_t b, size_t lanes)
IMITATED_LANES(vfadd_vv_f32m4, vfloat32m4_t, IMITATED_FLOATS, a.lane[k] + b.lane[k])
IMITATED_LANES(vfsub_vv_f32m4, vfloat32m4_t, IMITATED_FLOATS, a.lane[k] - b.lane[k])
IMITATED_LANES(vfmul_vv_f32m4, vfloat32m4_t, IMITATED_FLOATS, a.lane[k] * b.lane[k])
IMITATED_LANES(vfdiv_vv_f32m4, vfloat32m4_t, IMITATED_FLOATS, a.lane[k] / b.lane[k])
IMITATED_LANES(vfmax_vv_f32m4, vfloat32m4_t, IMITATED_FLOATS, a.lane[k] > b.lane[k] ? a.lane[k] : b.lane[k])
IMITATED_LANES(vfmin_vv_f32m4, vfloat32m4_t, IMITATED_FLOATS, a.lane[k] < b.lane[k] ? a.lane[k] : b.lane[k])
IMITATED_LANES(vfmacc_vv_f32m4, vfloat32m4_t, (vfloat32m4_t sum, vfloat32m4_t a, vfloat32m4_t b, size_t lanes),
               sum.lane[k] + a.lane[k] * b.lane[k])
IMITATED_LANES(vfmacc_vf_f32m4, vfloat32m4_t, (vfloat32m4_t sum, float one, vfloat32m4_t all, size_t lanes),
               sum.lane[k] + one * all.lane[k])
IMITATED_LANES(vfcvt_x_f_v_i32m4, vint32m4_t, (vfloat32m4_t a, size_t lanes), imitated_next(a.lane[k]))
IMITATED_LANES(vfcvt_f_x_v_f32m4, vfloat32m4_t, (vint32m4_t a, size_t lanes), (float)a.lane[k])

/* ---- Lanes of other lanes, and of other widths ---- */

IMITATED_LANES(vrgather_vv_f32m4, vfloat32m4_t, (vfloat32m4_t a, vuint32m4_t at, size_t lanes),
               at.lane[k] < 16 ? a.lane[at.lane[k]] : 0)

IMITATED_LANES(vrgather_vv_i32m4, vint32m4_t, (vint32m4_t a, vuint32m4_t at, size_t lanes),
               at.lane[k] < 16 ? a.lane[at.lane[k]] : 0)
IMITATED_LANES(vreinterpret_16, vuint32m4_t, (vint32m4_t a, size_t lanes), (uint32_t)a.lane[k])
IMITATED_LANES(vreinterpret_back_16, vint32m4_t, (vuint32m4_t a, size_t lanes), (int32_t)a.lane[k])
IMITATED_LANES(vncvt_x_x_w_u16m2, vuint16m2_t, (vuint32m4_t a, size_t lanes), (uint16_t)(a.lane[k] & 0xFFFF))
IMITATED_LANES(vncvt_x_x_w_u8m1, vuint8m1_t, (vuint16m2_t a, size_t lanes), (uint8_t)(a.lane[k] & 0xFF))
IMITATED_LANES(vzext_vf4_u32m4, vuint32m4_t, (vuint8m1_t a, size_t lanes), a.lane[k])

/* The bits of floats as integers, and back. */
IMITATED vint32m4_t vreinterpret_v_f32m4_i32m4(vfloat32m4_t a)
{
    vint32m4_t made;
    __builtin_memcpy(&made, &a, sizeof made);
    return made;
}

IMITATED vfloat32m4_t vreinterpret_v_i32m4_f32m4(vint32m4_t a)
{
    vfloat32m4_t made;
    __builtin_memcpy(&made, &a, sizeof made);
    return made;
}

#define vreinterpret_v_i32m4_u32m4(a) vreinterpret_16(a, 16)
#define vreinterpret_v_u32m4_i32m4(a) vreinterpret_back_16(a, 16)

#endif
