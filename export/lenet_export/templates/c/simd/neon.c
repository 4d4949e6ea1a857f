/* The words of NEON for bytes. */

/* 16 bytes at any place. */
typedef uint8x16_t sixteen_bytes __attribute__((aligned(1), may_alias));

/* Through volatile: a compiler may make loops of such stores a call of memset or memcpy. */
static void store_bytes(void *to, sixteen_bytes values)
{
    *(volatile sixteen_bytes *)to = values;
}

/* The sum of `count` pixels; bit 8 of `dark` is set where one of them and `rise` are more than 255. Of
 * what 16 at a time leave, the last 16 are read again, less those that were counted. */
static uint32_t ink_of(const uint8_t *pixels, int count, uint32_t rise, uint32_t *dark)
{
    static const uint8_t numbers[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    uint32x4_t four = vdupq_n_u32(0);
    uint8x16_t darkest = vdupq_n_u8(0);
    uint32_t sum = 0, sums = *dark;
    int k = 0;
    for (; k + 16 <= count; k += 16) {
        uint8x16_t some = vld1q_u8(pixels + k);
        four = vpadalq_u16(four, vpaddlq_u8(some));
        darkest = vmaxq_u8(darkest, some);
    }
    if (k < count && count >= 16) {
        uint8x16_t is_new = vcgtq_u8(vld1q_u8(numbers), vdupq_n_u8((uint8_t)(15 - (count - k))));
        uint8x16_t last = vandq_u8(vld1q_u8(pixels + count - 16), is_new);
        four = vpadalq_u16(four, vpaddlq_u8(last));
        darkest = vmaxq_u8(darkest, last);
        k = count;
    }
    for (; k < count; k++) {
        sum += pixels[k];
        sums |= pixels[k] + rise;
    }
    *dark = sums | (vmaxvq_u8(darkest) + rise);
    return sum + vaddvq_u32(four);
}
