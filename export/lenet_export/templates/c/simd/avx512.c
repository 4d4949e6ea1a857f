/* The words of AVX-512 for bytes. */

/* The sum of `count` pixels; bit 8 of `dark` is set where one of them and `rise` are more than 255. */
static uint32_t ink_of(const uint8_t *pixels, int count, uint32_t rise, uint32_t *dark)
{
    const __m256i bright = _mm256_set1_epi8((char)(255u - rise));
    __m256i four = _mm256_setzero_si256();
    __mmask32 above = 0;
    for (int k = 0; k < count; k += 32) {
        __mmask32 left = count - k < 32 ? (1u << (count - k)) - 1u : ~0u;
        __m256i some = _mm256_maskz_loadu_epi8(left, pixels + k);
        four = _mm256_add_epi64(four, _mm256_sad_epu8(some, _mm256_setzero_si256()));
        above |= _mm256_cmpgt_epu8_mask(some, bright);
    }
    __m128i two = _mm_add_epi64(_mm256_castsi256_si128(four), _mm256_extracti128_si256(four, 1));
    two = _mm_add_epi64(two, _mm_unpackhi_epi64(two, two));
    *dark |= (uint32_t)(above != 0) << 8;
    return (uint32_t)_mm_cvtsi128_si32(two);
}
