/* The words of MVE for codes that are stored less 128: VMLADAV multiplies signed bytes. 128 * (the weights) is
 * in the biases. */

/* Moves a row, 16 values at a time. */
static void move_s8(int8_t *to, const int8_t *from, uint32_t count)
{
    for (uint32_t k = 0; k < count; k += 16u) {
        mve_pred16_t left = vctp8q(count - k);
        vstrbq_p_s8(to + k, vldrbq_z_s8(from + k, left), left);
    }
}

/* Writes a border, or what is read beyond a row. */
static void fill_s8(int8_t *values, uint32_t count, int8_t value)
{
    for (uint32_t k = 0; k < count; k += 16u) {
        vstrbq_p_s8(values + k, vdupq_n_s8(value), vctp8q(count - k));
    }
}

/* Copies a row of the image, less 128; a null pointer is background. */
static void copy_s8(int8_t *to, const uint8_t *row, int count)
{
    for (int k = 0; k < count; k += 16) {
        mve_pred16_t left = vctp8q((uint32_t)(count - k));
        uint8x16_t codes = row ? vldrbq_z_u8(row + k, left) : vdupq_n_u8(0);
        vstrbq_p_s8(to + k, vreinterpretq_s8_u8(veorq_u8(codes, vdupq_n_u8(128))), left);
    }
}

/* 16 codes times 16 weights, all added to a sum. One that the compiler knows to begin with 0 needs no
 * register for that. */
__attribute__((always_inline)) static inline int32_t plus_products(int32_t sum, int8x16_t codes, int8x16_t weights)
{
    return __builtin_constant_p(sum) && sum == 0 ? vmladavq_s8(codes, weights) : vmladavaq_s8(sum, codes, weights);
}

/* The sum of `count` codes. */
static int32_t total_of(const int8_t *codes, int count)
{
    int32_t total = 0;
    for (int k = 0; k < count; k += 16) {
        total = vaddvaq_s8(total, vldrbq_z_s8(codes + k, vctp8q((uint32_t)(count - k))));
    }
    return total;
}

/* Sums of lanes that belong to no channel: 0. */
static void clear_sums(int32_t *sums, int count)
{
    for (int k = 0; k < count; k += 4) {
        vstrwq_s32(sums + k, vdupq_n_s32(0));
    }
}

/* The indices of eight sums, from 0 to 2^16 - 1: the gains are such that a product's upper 32 bits, rounded
 * down, are its index. VQMOVN narrows them, and puts the last four between the first four. The product
 * fits: see the bounds. */
__attribute__((always_inline)) static inline uint16x8_t indices(const int32_t sums[8], const int32_t bias[8], const int32_t gain[8])
{
    int32x4_t low = vqdmulhq_s32(vaddq_s32(vldrwq_s32(sums), vldrwq_s32(bias)), vldrwq_s32(gain));
    int32x4_t high = vqdmulhq_s32(vaddq_s32(vldrwq_s32(sums + 4), vldrwq_s32(bias + 4)), vldrwq_s32(gain + 4));
    return vqmovuntq_s32(vqmovunbq_s32(vreinterpretq_u16_s32(low), low), high);
}

/* Eight indices that are codes, or places in a table: none above `last`. */
static inline uint16x8_t clamp(uint16x8_t index, int last)
{
    return vminq_u16(index, vdupq_n_u16((uint16_t)last));
}

/* The codes of eight indices. */
static inline uint16x8_t look_up(const uint8_t *table, uint16x8_t index, int last)
{
    return vldrbq_gather_offset_u16(table, clamp(index, last));
}

/* The first `count` of eight codes, the last four of them between the first four. */
static inline void store_u8(uint8_t *to, uint16x8_t codes, int count)
{
    uint32x4_t low = vreinterpretq_u32_u16(codes), high = vshrq_n_u32(low, 16);
    if (count >= 4) {
        vstrbq_u32(to, low);
    } else {
        vstrbq_p_u32(to, low, vctp32q((uint32_t)count));
    }
    if (count >= 8) {
        vstrbq_u32(to + 4, high);
    } else if (count > 4) {
        vstrbq_p_u32(to + 4, high, vctp32q((uint32_t)(count - 4)));
    } else {
        /* Those were all. */
    }
}

/* The same, less 128 each. */
static inline void store_s8(int8_t *to, uint16x8_t codes, int count)
{
    store_u8((uint8_t *)to, vsubq_n_u16(codes, 128), count);
}
