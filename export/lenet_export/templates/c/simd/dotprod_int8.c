/* The words of Armv8.2's dot products for integers, beside those of NEON: codes are signed bytes, less 128
 * each, multiplied four at a time by SDOT. 128 * (the weights) is in the bias. */

/* 16 codes. */
typedef int8x16_t input_vector;

/* Four weights in each lane. */
typedef int8x16_t weight_vector;

static input_vector load_inputs(const int8_t *from)
{
    return vld1q_s8(from);
}

static weight_vector load_weights(const int8_t *from)
{
    return vld1q_s8(from);
}

/* Codes 4 k to 4 k + 3, the same in all lanes, and four weights in each lane. A macro: k is part of the
 * instruction. */
#define multiply_add(acc, inputs, k, weights) vdotq_laneq_s32(acc, weights, inputs, k)

/* The lanes of four vectors behind each other, as bytes. */
static uint8x16_t bytes_of(vector a, vector b, vector c, vector d)
{
    uint16x8_t ab = vuzp1q_u16(vreinterpretq_u16_s32(a), vreinterpretq_u16_s32(b));
    uint16x8_t cd = vuzp1q_u16(vreinterpretq_u16_s32(c), vreinterpretq_u16_s32(d));
    return vuzp1q_u8(vreinterpretq_u8_u16(ab), vreinterpretq_u8_u16(cd));
}

/* The first `count` of 16 bytes. */
static inline void store_some(void *bytes, uint8x16_t codes, int count)
{
    uint8_t *to = (uint8_t *)bytes;
    if (count >= 16) {
        vst1q_u8(to, codes);
        return;
    }
    if (count >= 8) {
        vst1_u8(to, vget_low_u8(codes));
        codes = vextq_u8(codes, codes, 8);
        to += 8, count -= 8;
    }
    if (count >= 4) {
        *(word *)(void *)to = vgetq_lane_s32(vreinterpretq_s32_u8(codes), 0);
        codes = vextq_u8(codes, codes, 4);
        to += 4, count -= 4;
    }
    for (; count > 0; count--) {
        *to++ = vgetq_lane_u8(codes, 0);
        codes = vextq_u8(codes, codes, 1);
    }
}

/* The first `count` codes of four vectors. */
static inline void store_four_u8(uint8_t *to, vector a, vector b, vector c, vector d, int count)
{
    store_some(to, bytes_of(a, b, c, d), count);
}

/* The same, less 128 each. */
static inline void store_four_s8(int8_t *to, vector a, vector b, vector c, vector d, int count)
{
    store_some(to, veorq_u8(bytes_of(a, b, c, d), vdupq_n_u8(128)), count);
}

/* The sum of four codes in each lane, each times its byte of `weights`. */
static vector plus_codes(vector sum, vector codes, int weights)
{
    uint8x16_t four = vreinterpretq_u8_s32(codes), all = vreinterpretq_u8_s32(broadcast(weights));
    return vreinterpretq_s32_u32(vdotq_u32(vreinterpretq_u32_s32(sum), four, all));
}

/* Writes a border. Of what 16 at a time leave, the last 16 are written again. */
static void fill_s8(int8_t *values, uint32_t count, int8_t value)
{
    const uint8x16_t many = vdupq_n_u8((uint8_t)value);
    uint32_t k = 0;
    for (; k + 64 <= count; k += 64) {
        store_bytes(values + k, many);
        store_bytes(values + k + 16, many);
        store_bytes(values + k + 32, many);
        store_bytes(values + k + 48, many);
    }
    for (; k + 16 <= count; k += 16) {
        store_bytes(values + k, many);
    }
    if (k < count && count >= 16) {
        store_bytes(values + count - 16, many);
        k = count;
    }
    for (; k < count; k++) {
        *(volatile int8_t *)(values + k) = value;
    }
}

/* Copies a row of the image, less 128 each; a null pointer is background. Of what 16 at a time leave, the
 * last 16 are copied again. */
static void copy_s8(int8_t *to, const uint8_t *row, int count)
{
    const uint8x16_t less = vdupq_n_u8(128);
    int k = 0;
    for (; row && k + 16 <= count; k += 16) {
        store_bytes(to + k, veorq_u8(vld1q_u8(row + k), less));
    }
    if (row && k < count && count >= 16) {
        store_bytes(to + count - 16, veorq_u8(vld1q_u8(row + count - 16), less));
        k = count;
    }
    for (; k < count; k++) {
        *(volatile int8_t *)(to + k) = (int8_t)((row ? row[k] : 0) - 128);
    }
}
