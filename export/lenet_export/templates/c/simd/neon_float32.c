/* The words of NEON for floats. */

/* 4 sums, weights, or values: one in each lane. */
typedef float32x4_t vector;

/* 4 values. */
typedef float32x4_t input_vector;

/* A weight in each lane. */
typedef float32x4_t weight_vector;

static vector load(const float *from)
{
    return vld1q_f32(from);
}

static input_vector load_inputs(const float *from)
{
    return vld1q_f32(from);
}

static weight_vector load_weights(const float *from)
{
    return vld1q_f32(from);
}

/* Value `k` of four, the same in all lanes, times a vector. A macro: k is part of the instruction. */
#define multiply_add(acc, inputs, k, weights) vfmaq_laneq_f32(acc, weights, inputs, k)

/* The first `count` lanes. */
static void store(float *to, vector values, int count)
{
    if (count >= 4) {
        vst1q_f32(to, values);
        return;
    }
    for (; count > 0; count--) {
        *to++ = vgetq_lane_f32(values, 0);
        values = vextq_f32(values, values, 1);
    }
}

static vector broadcast(float number)
{
    return vdupq_n_f32(number);
}

/* a * b + c, rounded once. */
static vector fused(vector a, vector b, vector c)
{
    return vfmaq_f32(c, a, b);
}

static vector add(vector a, vector b)
{
    return vaddq_f32(a, b);
}

static vector subtract(vector a, vector b)
{
    return vsubq_f32(a, b);
}

static vector multiply(vector a, vector b)
{
    return vmulq_f32(a, b);
}

static vector divide(vector a, vector b)
{
    return vdivq_f32(a, b);
}

static vector larger_lanes(vector a, vector b)
{
    return vmaxq_f32(a, b);
}

static vector smaller_lanes(vector a, vector b)
{
    return vminq_f32(a, b);
}

/* To the next integer. */
static vector rounded(vector a)
{
    return vrndnq_f32(a);
}

/* a * 2^n, n integers: added to the exponents. */
static vector times_power_of_2(vector a, vector n)
{
    int32x4_t exponents = vshlq_n_s32(vcvtq_s32_f32(n), 23);
    return vreinterpretq_f32_s32(vaddq_s32(vreinterpretq_s32_f32(a), exponents));
}

/* What is `lanes` lanes further on, in each lane. */
static vector lanes_from(vector all, int lanes)
{
    return lanes == 1 ? vextq_f32(all, all, 1) : lanes == 2 ? vextq_f32(all, all, 2) : vextq_f32(all, all, 3);
}

/* Writes a border. */
static void fill_float(float *values, uint32_t count, float value)
{
    uint32_t k = 0;
    for (; k + 4u <= count; k += 4u) {
        store_bytes(values + k, vreinterpretq_u8_f32(vdupq_n_f32(value)));
    }
    for (; k < count; k++) {
        *(volatile float *)(values + k) = value;
    }
}

/* Copies a row of the image; a null pointer is background. */
static void copy_float(float *to, const uint8_t *row, int count)
{
    int k = 0;
    for (; row && k + 8 <= count; k += 8) {
        uint16x8_t eight = vmovl_u8(vld1_u8(row + k));
        store_bytes(to + k, vreinterpretq_u8_f32(vcvtq_f32_u32(vmovl_u16(vget_low_u16(eight)))));
        store_bytes(to + k + 4, vreinterpretq_u8_f32(vcvtq_f32_u32(vmovl_u16(vget_high_u16(eight)))));
    }
    for (; k < count; k++) {
        *(volatile float *)(to + k) = (uint8_t)(row != NULL ? row[k] : 0u);
    }
}
