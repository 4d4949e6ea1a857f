/* The words of MVE, beside those that its kernels spell themselves. */

/* Moves a row, 16 values at a time. */
static void move_u8(uint8_t *to, const uint8_t *from, uint32_t count)
{
    for (uint32_t k = 0; k < count; k += 16u) {
        mve_pred16_t left = vctp8q(count - k);
        vstrbq_p_u8(to + k, vldrbq_z_u8(from + k, left), left);
    }
}

/* The sum of `count` pixels; bit 8 of `dark` is set where one of them and `rise` are more than 255. */
static uint32_t ink_of(const uint8_t *pixels, int count, uint32_t rise, uint32_t *dark)
{
    uint32_t sum = 0;
    uint8_t largest_pixel = 0;
    for (int k = 0; k < count; k += 16) {
        uint8x16_t some = vldrbq_z_u8(pixels + k, vctp8q((uint32_t)(count - k)));
        sum = vaddvaq_u8(sum, some);
        largest_pixel = vmaxvq_u8(largest_pixel, some);
    }
    *dark |= largest_pixel + rise;
    return sum;
}
