/* The words of MVE, beside those that its kernels spell themselves. */

/* Moves a row, 16 values at a time. */
static void move_u8(uint8_t *to, const uint8_t *from, uint32_t count)
{
    for (uint32_t k = 0; k < count; k += 16) {
        mve_pred16_t left = vctp8q(count - k);
        vstrbq_p_u8(to + k, vldrbq_z_u8(from + k, left), left);
    }
}
