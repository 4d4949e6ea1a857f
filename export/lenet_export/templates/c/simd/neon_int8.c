/* The words of NEON for integers, as every Armv8-A has it: codes are halfwords, and SMLAL multiplies one
 * of them with a weight in each lane. */

/* A word at any byte. */
typedef int32_t word __attribute__((aligned(1), may_alias));

/* 4 sums, or codes: one in each lane. */
typedef int32x4_t vector;

/* 4 codes. */
typedef int16x4_t input_vector;

/* A weight in each lane. */
typedef int16x4_t weight_vector;

static vector load(const int32_t *from)
{
    return vld1q_s32(from);
}

static input_vector load_inputs(const uint16_t *from)
{
    return vreinterpret_s16_u16(vld1_u16(from));
}

static weight_vector load_weights(const int16_t *from)
{
    return vld1_s16(from);
}

/* Code `k` of four, the same in all lanes, and a weight in each lane. A macro: k is part of the
 * instruction. */
#define multiply_add(acc, inputs, k, weights) vmlal_lane_s16(acc, weights, inputs, k)

static vector broadcast(int number)
{
    return vdupq_n_s32(number);
}

static vector add(vector a, vector b)
{
    return vaddq_s32(a, b);
}

static vector multiply(vector a, vector b)
{
    return vmulq_s32(a, b);
}

static vector larger_lanes(vector a, vector b)
{
    return vmaxq_s32(a, b);
}

/* Rounded down. */
static vector shift_right(vector a, int places)
{
    return vshlq_s32(a, vdupq_n_s32(-places));
}

static vector shift_right_unsigned(vector a, int places)
{
    return vreinterpretq_s32_u32(vshlq_u32(vreinterpretq_u32_s32(a), vdupq_n_s32(-places)));
}

/* acc * gain / 2^shift, rounded down; what looks it up takes what is below 0 as 0, and what is too large
 * as the last index. The product fits: see the bounds. SQDMULH is the upper half of twice a product. */
static vector requantize_lanes(vector acc, vector gain, int shift, int top)
{
    (void)top;
    if (shift < 16) {
        return shift_right(multiply(acc, gain), shift);
    }
    return vqdmulhq_s32(acc, vshlq_s32(gain, vdupq_n_s32(31 - shift)));
}

/* (sum + half) / n, rounded down: for all sums of n codes that is times factor / 2^shift. */
static vector mean(vector sum, int half, int factor, int shift)
{
    if (factor == 1) {
        return vreinterpretq_s32_u32(vrshlq_u32(vreinterpretq_u32_s32(sum), vdupq_n_s32(-shift)));
    }
    return shift_right_unsigned(multiply(add(sum, broadcast(half)), broadcast(factor)), shift);
}

/* What is `lanes` lanes further on, in each lane. */
static vector lanes_from(vector all, int lanes)
{
    return lanes == 1 ? vextq_s32(all, all, 1) : lanes == 2 ? vextq_s32(all, all, 2) : vextq_s32(all, all, 3);
}

/* The first `count` codes, as halfwords. */
static void store_codes(uint16_t *to, vector codes, int count)
{
    uint16x4_t four = vmovn_u32(vreinterpretq_u32_s32(codes));
    if (count >= 4) {
        vst1_u16(to, four);
        return;
    }
    for (uint64_t left = vget_lane_u64(vreinterpret_u64_u16(four), 0); count > 0; count--) {
        *to++ = (uint16_t)left;
        left >>= 16;
    }
}

/* The first `count` sums. */
static void store_logits(int32_t *to, vector acc, int count)
{
    if (count >= 4) {
        vst1q_s32(to, acc);
        return;
    }
    for (; count > 0; count--) {
        *to++ = vgetq_lane_s32(acc, 0);
        acc = vextq_s32(acc, acc, 1);
    }
}

/* 16 codes, four lanes of a, then of b, c and d, put side by side lane by lane: a, b, c, d in each. */
static vector in_lanes(uint8x16_t codes)
{
    static const uint8_t places[16] = {0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15};
    return vreinterpretq_s32_u8(vqtbl1q_u8(codes, vld1q_u8(places)));
}

/* Eight indices, none below 0. */
static uint16x8_t indices(vector a, vector b)
{
    return vcombine_u16(vqmovun_s32(a), vqmovun_s32(b));
}

/* 16 indices that are codes, one vector's behind the other's; more than 255 is 255. */
static uint8x16_t codes_themselves(vector a, vector b, vector c, vector d)
{
    return vcombine_u8(vqmovn_u16(indices(a, b)), vqmovn_u16(indices(c, d)));
}

/* Four codes of each lane, side by side in its bytes. */
static vector side_by_side(vector a, vector b, vector c, vector d)
{
    return in_lanes(codes_themselves(a, b, c, d));
}

/* The sum of four codes in each lane, each times its byte of `weights`. */
static vector plus_codes(vector sum, vector codes, int weights)
{
    uint8x16_t weighted =
        vmulq_u8(vreinterpretq_u8_s32(codes), vreinterpretq_u8_s32(broadcast(weights)));
    return vreinterpretq_s32_u32(vpadalq_u16(vreinterpretq_u32_s32(sum), vpaddlq_u8(weighted)));
}

/* The codes of 16 places among the 256 entries of the table from `first` on. TBL looks up 64, and gives 0
 * beyond them; TBX leaves there what was found before. So each time the places are 64 less. */
static inline uint8x16_t entries(const uint8_t *first, uint8x16_t place)
{
    const uint8x16_t part = vdupq_n_u8(64);
    uint8x16_t code = vqtbl4q_u8(vld1q_u8_x4(first), place);
    place = vsubq_u8(place, part);
    code = vqtbx4q_u8(code, vld1q_u8_x4(first + 64), place);
    place = vsubq_u8(place, part);
    code = vqtbx4q_u8(code, vld1q_u8_x4(first + 128), place);
    place = vsubq_u8(place, part);
    return vqtbx4q_u8(code, vld1q_u8_x4(first + 192), place);
}

/* The codes of 16 indices, one vector's behind the other's. */
static inline uint8x16_t codes_of(const uint8_t *table, vector a, vector b, vector c, vector d)
{
    const uint16x8_t last = vdupq_n_u16(511);
    uint8x16_t ab = vreinterpretq_u8_u16(vminq_u16(indices(a, b), last));
    uint8x16_t cd = vreinterpretq_u8_u16(vminq_u16(indices(c, d), last));
    uint8x16_t place = vuzp1q_u8(ab, cd), is_above = vceqq_u8(vuzp2q_u8(ab, cd), vdupq_n_u8(1));
    return vbslq_u8(is_above, entries(table + 256, place), entries(table, place));
}

/* The codes of four indices of each lane, side by side in its bytes. */
static vector look_up(const uint8_t *table, vector a, vector b, vector c, vector d)
{
    return in_lanes(codes_of(table, a, b, c, d));
}

/* The codes of 16 indices, one vector's behind the other's. A code of the table's lower half
 * is `both`, 255 or 256, less its mirror's in the upper half: bits inverted, and 1 more for 256. */
static inline uint8x16_t codes_mirrored(const uint8_t *table, int both, vector a, vector b, vector c, vector d)
{
    const uint16x8_t last = vdupq_n_u16(511);
    uint8x16_t ab = vreinterpretq_u8_u16(vminq_u16(indices(a, b), last));
    uint8x16_t cd = vreinterpretq_u8_u16(vminq_u16(indices(c, d), last));
    uint8x16_t is_below = vceqq_u8(vuzp2q_u8(ab, cd), vdupq_n_u8(0));
    uint8x16_t code = entries(table + 256, veorq_u8(vuzp1q_u8(ab, cd), is_below));
    uint8x16_t one_more = both == 256 ? is_below : vdupq_n_u8(0);
    return vsubq_u8(veorq_u8(code, is_below), one_more);
}

/* The codes of four indices of each lane, side by side in its bytes. */
static vector look_up_mirrored(const uint8_t *table, int both, vector a, vector b, vector c, vector d)
{
    return in_lanes(codes_mirrored(table, both, a, b, c, d));
}

/* Writes a border. */
static void fill_u16(uint16_t *values, uint32_t count, uint16_t value)
{
    uint32_t k = 0;
    for (; k + 8u <= count; k += 8u) {
        store_bytes(values + k, vreinterpretq_u8_u16(vdupq_n_u16(value)));
    }
    for (; k < count; k++) {
        *(volatile uint16_t *)(values + k) = value;
    }
}

/* Copies a row of the image; a null pointer is background. */
static void copy_u16(uint16_t *to, const uint8_t *row, int count)
{
    int k = 0;
    for (; row && k + 8 <= count; k += 8) {
        store_bytes(to + k, vreinterpretq_u8_u16(vmovl_u8(vld1_u8(row + k))));
    }
    for (; k < count; k++) {
        *(volatile uint16_t *)(to + k) = (uint8_t)(row != NULL ? row[k] : 0u);
    }
}
