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

/* The first `count` of 16 codes. */
static inline void store_u8(uint8_t *to, uint8x16_t codes, int count)
{
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

/* The same, less 128 each. */
static inline void store_s8(int8_t *to, uint8x16_t codes, int count)
{
    store_u8((uint8_t *)to, veorq_u8(codes, vdupq_n_u8(128)), count);
}

/* The first `count` codes of four vectors. */
static inline void store_four_u8(uint8_t *to, vector a, vector b, vector c, vector d, int count)
{
    store_u8(to, bytes_of(a, b, c, d), count);
}

/* The same, less 128 each. */
static inline void store_four_s8(int8_t *to, vector a, vector b, vector c, vector d, int count)
{
    store_s8(to, bytes_of(a, b, c, d), count);
}

/* What is loaded from the pointer waits for the sum so far: a compiler would load all it needs at once, and
 * spill. Where another CPU imitates this one's instructions, it may. */
#ifdef __aarch64__
#define load_behind(pointer, sum) __asm__("" : "+r"(pointer), "+w"(sum))
#else
#define load_behind(pointer, sum) (void)0
#endif

/* Lane k in all lanes. A macro: k is part of the instruction. */
#define from_lane(all, k) vdupq_laneq_s32(all, k)

/* acc * lane k of `gain` / 2^31, rounded down: SQDMULH is the upper half of twice a product, which fits:
 * see the bounds. */
#define index_by_lane(acc, gain, k) vqdmulhq_laneq_s32(acc, gain, k)

/* Of four columns the values there and in the three next: of a row's first seven. */
static inline weight_vector neighbours(input_vector row)
{
    static const uint8_t places[16] = {0, 1, 2, 3, 1, 2, 3, 4, 2, 3, 4, 5, 3, 4, 5, 6};
    return vqtbl1q_s8(row, vld1q_u8(places));
}

/* Of two rows the fifth value to the eighth, four bytes of each, in the first two lanes. */
static inline int64x2_t fifths(input_vector a, input_vector b)
{
    return vreinterpretq_s64_s32(vtrn2q_s32(vreinterpretq_s32_s8(a), vreinterpretq_s32_s8(b)));
}

/* Of four rows the fifth value to the eighth: of each column all four rows'. */
static inline weight_vector below(input_vector a, input_vector b, input_vector c, input_vector d)
{
    int64x2_t all = vzip1q_s64(fifths(a, b), fifths(c, d));
    return vreinterpretq_s8_s32(in_lanes(vreinterpretq_u8_s64(all)));
}

/* The same of two rows; what is more in each column are other bytes of theirs. */
static inline weight_vector below_two(input_vector a, input_vector b)
{
    return vreinterpretq_s8_s32(in_lanes(vreinterpretq_u8_s64(fifths(a, b))));
}

/* Each pair of neighbours of both rows, added up. */
static inline uint16x8_t sum_of_rows(uint8x16_t upper, uint8x16_t lower)
{
    return vpadalq_u8(vpaddlq_u8(upper), lower);
}

/* The same of the first eight codes and the last eight; each sum is there twice. */
static inline uint16x8_t sum_of_halves(uint8x16_t rows)
{
    uint16x8_t sums = vpaddlq_u8(rows);
    return vaddq_u16(sums, vextq_u16(sums, sums, 4));
}

/* The means of four codes, from their sums, rounded. */
static inline uint8x16_t quarters(uint16x8_t a, uint16x8_t b)
{
    return vcombine_u8(vrshrn_n_u16(a, 2), vrshrn_n_u16(b, 2));
}

/* The larger of each pair of neighbours, of a and then of b. */
static inline vector larger_neighbours(vector a, vector b)
{
    return vpmaxq_s32(a, b);
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
    for (; k + 64u <= count; k += 64u) {
        store_bytes(values + k, many);
        store_bytes(values + k + 16u, many);
        store_bytes(values + k + 32u, many);
        store_bytes(values + k + 48u, many);
    }
    for (; k + 16u <= count; k += 16u) {
        store_bytes(values + k, many);
    }
    if (k < count && count >= 16u) {
        store_bytes(values + count - 16u, many);
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
        *(volatile int8_t *)(to + k) = (int8_t)((row != NULL ? row[k] : 0) - 128);
    }
}
