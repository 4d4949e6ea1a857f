/* The words of the DSP extension of Arm's M profile, beside those that its kernels spell themselves. */

/* Four bytes at any place. */
typedef uint8x4_t four_bytes __attribute__((aligned(1), may_alias));

/* Two halfwords side by side, at any halfword. */
typedef int16x2_t pair __attribute__((aligned(2), may_alias));

static int16x2_t pair_at(const volatile void *halfwords)
{
    return *(const volatile pair *)halfwords;
}

/* Two halfwords of weights, in a word. */
typedef int16x2_t weights __attribute__((may_alias));

/* Two halfwords of codes, in a word. */
typedef int16x2_t whole_pair __attribute__((may_alias));

static int16x2_t word_of_pair(const volatile void *halfwords)
{
    return *(const volatile whole_pair *)halfwords;
}

/* A halfword of weights is 256 * (weight of output a) + (weight of output b), and its low byte alone
 * is that of b: so the sum of both (both_ab) and the sum of b (odd_b) give a's, and one load serves two
 * outputs. The sums wrap, and a's fits 24 bits. */
static int32_t even_of(int32_t both, int32_t odd)
{
    uint32_t even = (uint32_t)both - (uint32_t)odd;
    return (int32_t)even >> 8;
}

/* The sum of `count` pixels; bit 8 of `dark` is set where one of them and `rise` are more than 255. */
static uint32_t ink_of(const uint8_t *pixels, int count, uint32_t rise, uint32_t *dark)
{
    uint32_t sum = 0, halves = 0, sums = *dark;
    int k = 0;
    for (; k < count - 3; k += 4) {
        uint8x4_t four = *(const four_bytes *)(const void *)(pixels + k);
        sum = __usada8(four, 0, sum);
        halves |= __uhadd8(four, rise * 0x01010101u);
    }
    for (; k < count; k++) {
        sum += pixels[k];
        sums |= pixels[k] + rise;
    }
    /* Half of a sum has in bit 7 what the sum has in bit 8. */
    halves |= halves >> 16;
    halves |= halves >> 8;
    *dark = sums | (halves << 1 & 256u);
    return sum;
}
