/* The words of AVX2 for bytes. */

/* The sum of `count` pixels; bit 8 of `dark` is set where one of them and `rise` are more than 255. Of
 * what 16 at a time leave, the last 16 are read again, less those that were counted. */
static uint32_t ink_of(const uint8_t *pixels, int count, uint32_t rise, uint32_t *dark)
{
    const __m128i zero = _mm_setzero_si128(), bright = _mm_set1_epi8((char)(255u - rise));
    const __m128i numbers = _mm_setr_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    __m128i both = zero, above = zero;
    uint32_t sum = 0, sums = *dark;
    int k = 0;
    for (; k + 16 <= count; k += 16) {
        __m128i some = _mm_loadu_si128((const __m128i *)(const void *)(pixels + k));
        both = _mm_add_epi64(both, _mm_sad_epu8(some, zero));
        above = _mm_or_si128(above, _mm_subs_epu8(some, bright));
    }
    if (k < count && count >= 16) {
        __m128i is_new = _mm_cmpgt_epi8(numbers, _mm_set1_epi8((char)(15 - (count - k))));
        __m128i last = _mm_loadu_si128((const __m128i *)(const void *)(pixels + count - 16));
        last = _mm_and_si128(last, is_new);
        both = _mm_add_epi64(both, _mm_sad_epu8(last, zero));
        above = _mm_or_si128(above, _mm_subs_epu8(last, bright));
        k = count;
    }
    for (; k < count; k++) {
        sum += pixels[k];
        sums |= pixels[k] + rise;
    }
    both = _mm_add_epi64(both, _mm_unpackhi_epi64(both, both));
    *dark = sums | (uint32_t)(1 - _mm_testz_si128(above, above)) << 8;
    return sum + (uint32_t)_mm_cvtsi128_si32(both);
}
