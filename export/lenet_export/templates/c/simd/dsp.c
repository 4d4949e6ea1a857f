/* The words of the DSP extension of Arm's M profile, beside those that its kernels spell themselves. */

/* Four bytes at any place. */
typedef uint8x4_t four_bytes __attribute__((aligned(1), may_alias));

/* The sum of `count` pixels; bit 8 of `dark` is set where one of them and `rise` are more than 255. */
static uint32_t ink_of(const uint8_t *pixels, int count, uint32_t rise, uint32_t *dark)
{
    uint32_t sum = 0, halves = 0, sums = *dark;
    int k = 0;
    for (; k + 4 <= count; k += 4) {
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
