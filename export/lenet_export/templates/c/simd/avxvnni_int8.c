/* The words of AVX-VNNI for integers, beside those of AVX2: codes are bytes, multiplied four at a time by
 * VPDPBUSD. */

/* Four codes, the same in all lanes, and four weights in each lane. */
static vector multiply_add(vector acc, const uint8_t *in, vector weight)
{
    return _mm256_dpbusd_avx_epi32(acc, broadcast(*(const word *)(const void *)in), weight);
}

/* The sum of four codes in each lane, each times its byte of `weights`. */
static vector plus_codes(vector sum, vector codes, int weights)
{
    return _mm256_dpbusd_avx_epi32(sum, codes, broadcast(weights));
}

/* The first `count` codes. */
static void store_codes(uint8_t *to, vector codes, int count)
{
    __m128i halves = _mm_packus_epi32(_mm256_castsi256_si128(codes), _mm256_extracti128_si256(codes, 1));
    __m128i eight = _mm_packus_epi16(halves, halves);
    if (count >= 8) {
        _mm_storel_epi64((__m128i *)(void *)to, eight);
        return;
    }
    if (count >= 4) {
        *(word *)(void *)to = _mm_cvtsi128_si32(eight);
        eight = _mm_bsrli_si128(eight, 4);
    }
    for (int c = count & 4; c < count; c++) {
        to[c] = (uint8_t)_mm_cvtsi128_si32(eight);
        eight = _mm_bsrli_si128(eight, 1);
    }
}

/* Writes a border. volatile keeps this a loop: a compiler may make it a call of memset. */
static void fill_u8(uint8_t *values, uint32_t count, uint8_t value)
{
    const __m256i many = _mm256_set1_epi8((char)value);
    uint32_t k = 0;
    for (; k + 32u <= count; k += 32u) {
        *(volatile __m256i_u *)(void *)(values + k) = many;
    }
    for (; k < count; k++) {
        *(volatile uint8_t *)(values + k) = value;
    }
}

/* Copies a row of the image; a null pointer is background. */
static void copy_u8(uint8_t *to, const uint8_t *row, int count)
{
    int k = 0;
    for (; row && k + 8 <= count; k += 8) {
        __m128i eight = _mm_loadl_epi64((const __m128i *)(const void *)(row + k));
        _mm_storel_epi64((__m128i *)(void *)(to + k), eight);
    }
    for (; k < count; k++) {
        *(volatile uint8_t *)(to + k) = (uint8_t)(row != NULL ? row[k] : 0u);
    }
}
