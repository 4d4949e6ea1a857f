/* The words of Armv8.2's dot products for integers, beside those of NEON: codes are bytes, multiplied
 * four at a time by SDOT. */

/* 16 codes, less 128. */
typedef int8x16_t input_vector;

/* Four weights in each lane. */
typedef int8x16_t weight_vector;

/* 16 codes, less 128 each: SDOT takes two signed numbers. 128 * (the weights) is in the bias. */
static input_vector load_inputs(const uint8_t *from)
{
    return vreinterpretq_s8_u8(veorq_u8(vld1q_u8(from), vdupq_n_u8(128)));
}

static weight_vector load_weights(const int8_t *from)
{
    return vld1q_s8(from);
}

/* Codes 4 k to 4 k + 3, the same in all lanes, and four weights in each lane. A macro: k is part of the
 * instruction. */
#define multiply_add(acc, inputs, k, weights) vdotq_laneq_s32(acc, weights, inputs, k)

/* The first `count` codes. */
static void store_codes(uint8_t *to, vector codes, int count)
{
    uint16x8_t halves = vreinterpretq_u16_s32(codes);
    uint8x16_t bytes = vreinterpretq_u8_u16(vuzp1q_u16(halves, halves));
    word four = vgetq_lane_s32(vreinterpretq_s32_u8(vuzp1q_u8(bytes, bytes)), 0);
    if (count >= 4) {
        *(word *)(void *)to = four;
        return;
    }
    for (uint32_t left = (uint32_t)four; count > 0; count--) {
        *to++ = (uint8_t)left;
        left >>= 8;
    }
}

/* The sum of four codes in each lane, each times its byte of `weights`. */
static vector plus_codes(vector sum, vector codes, int weights)
{
    uint8x16_t four = vreinterpretq_u8_s32(codes), all = vreinterpretq_u8_s32(broadcast(weights));
    return vreinterpretq_s32_u32(vdotq_u32(vreinterpretq_u32_s32(sum), four, all));
}

/* Writes a border. */
static void fill_u8(uint8_t *values, uint32_t count, uint8_t value)
{
    uint32_t k = 0;
    for (; k + 16 <= count; k += 16) {
        store_bytes(values + k, vdupq_n_u8(value));
    }
    for (; k < count; k++) {
        *(volatile uint8_t *)(values + k) = value;
    }
}

/* Copies a row of the image; a null pointer is background. Of what 16 at a time leave, the last 16 are
 * copied again. */
static void copy_u8(uint8_t *to, const uint8_t *row, int count)
{
    int k = 0;
    for (; row && k + 16 <= count; k += 16) {
        store_bytes(to + k, vld1q_u8(row + k));
    }
    if (row && k < count && count >= 16) {
        store_bytes(to + count - 16, vld1q_u8(row + count - 16));
        k = count;
    }
    for (; k < count; k++) {
        *(volatile uint8_t *)(to + k) = (uint8_t)(row ? row[k] : 0);
    }
}
