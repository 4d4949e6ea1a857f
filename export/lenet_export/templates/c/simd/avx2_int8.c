/* The words of AVX2 for integers: codes are halfwords, multiplied two at a time by VPMADDWD. */

/* A word at any byte. */
typedef int32_t word __attribute__((aligned(1), may_alias));

/* 8 sums, weights, or codes: one in each lane. */
typedef __m256i vector;

static vector load(const void *from)
{
    return _mm256_loadu_si256((const __m256i *)from);
}

static vector broadcast(int number)
{
    return _mm256_set1_epi32(number);
}

/* Two codes, the same in all lanes, and two weights in each lane. */
static vector multiply_add(vector acc, const uint16_t *in, vector weight)
{
    vector pair = broadcast(*(const word *)(const void *)in);
    return _mm256_add_epi32(acc, _mm256_madd_epi16(pair, weight));
}

static vector add(vector a, vector b)
{
    return _mm256_add_epi32(a, b);
}

static vector multiply(vector a, vector b)
{
    return _mm256_mullo_epi32(a, b);
}

static vector larger_lanes(vector a, vector b)
{
    return _mm256_max_epi32(a, b);
}

static vector smaller_lanes(vector a, vector b)
{
    return _mm256_min_epi32(a, b);
}

/* Rounded down. */
static vector shift_right(vector a, int places)
{
    return _mm256_sra_epi32(a, _mm_cvtsi32_si128(places));
}

static vector shift_right_unsigned(vector a, int places)
{
    return _mm256_srl_epi32(a, _mm_cvtsi32_si128(places));
}

/* What is `lanes` lanes further on, in each lane. */
static vector lanes_from(vector all, int lanes)
{
    const vector numbers = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_permutevar8x32_epi32(all, add(numbers, broadcast(lanes)));
}

/* The first `count` codes, as halfwords. */
static void store_codes(uint16_t *to, vector codes, int count)
{
    __m128i eight = _mm_packus_epi32(_mm256_castsi256_si128(codes), _mm256_extracti128_si256(codes, 1));
    if (count >= 8) {
        _mm_storeu_si128((__m128i *)(void *)to, eight);
        return;
    }
    if (count >= 4) {
        _mm_storel_epi64((__m128i *)(void *)to, eight);
        eight = _mm_unpackhi_epi64(eight, eight);
    }
    for (int c = count & 4; c < count; c++) {
        to[c] = (uint16_t)_mm_cvtsi128_si32(eight);
        eight = _mm_bsrli_si128(eight, 2);
    }
}

/* The first `count` sums. */
static void store_logits(int32_t *to, vector acc, int count)
{
    const vector numbers = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    _mm256_maskstore_epi32(to, _mm256_cmpgt_epi32(broadcast(count), numbers), acc);
}

/* Four codes of each lane, side by side in its bytes. */
static vector side_by_side(vector a, vector b, vector c, vector d)
{
    vector ab = _mm256_or_si256(a, _mm256_slli_epi32(b, 8));
    vector cd = _mm256_or_si256(c, _mm256_slli_epi32(d, 8));
    return _mm256_or_si256(ab, _mm256_slli_epi32(cd, 16));
}

/* The sum of four codes in each lane, each times its byte of `weights`. */
static vector plus_codes(vector sum, vector codes, int weights)
{
    vector pairs = _mm256_maddubs_epi16(codes, broadcast(weights));
    return add(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}

/* A code of the table in each lane. Four are gathered at a time, so that nothing behind it is read. */
static vector gathered(const uint8_t *table, vector index)
{
    vector four = _mm256_i32gather_epi32((const int *)(const void *)table, _mm256_srli_epi32(index, 2), 4);
    vector place = _mm256_slli_epi32(_mm256_and_si256(index, broadcast(3)), 3);
    return _mm256_and_si256(_mm256_srlv_epi32(four, place), broadcast(255));
}

/* The codes of four indices of each lane, side by side in its bytes. */
static vector look_up(const uint8_t *table, vector a, vector b, vector c, vector d)
{
    return side_by_side(gathered(table, a), gathered(table, b), gathered(table, c), gathered(table, d));
}

/* The codes at 128 entries of the table from `first` on, by bytes; 0 where a byte is negative.
 *
 * VPSHUFB looks up 16 entries by the low 4 bits of a byte, and gives 0 for a negative one. With 16 less
 * in each turn, a byte that is n turns from being negative has passed n parts of the table; each takes
 * its predecessor away. */
static vector entries(const uint8_t *first, vector place)
{
    vector code = broadcast(0), before = broadcast(0);
#pragma GCC unroll 8
    for (int part = 0; part < 128; part += 16) {
        const void *sixteen = first + part;
        vector here = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)sixteen));
        code = _mm256_xor_si256(code, _mm256_shuffle_epi8(_mm256_xor_si256(here, before), place));
        place = _mm256_subs_epi8(place, _mm256_set1_epi8(16));
        before = here;
    }
    return code;
}

/* The codes of four indices of each lane, side by side in its bytes. A code of the table's lower half
 * is `both`, 255 or 256, less its mirror's in the upper half: bits inverted, and 1 more for 256. */
static vector look_up_mirrored(const uint8_t *table, int both, vector a, vector b, vector c, vector d)
{
    const vector middle = broadcast(256);
    const vector in_lanes = _mm256_broadcastsi128_si256(
        _mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15));
    vector ab = _mm256_packs_epi32(_mm256_sub_epi32(a, middle), _mm256_sub_epi32(b, middle));
    vector cd = _mm256_packs_epi32(_mm256_sub_epi32(c, middle), _mm256_sub_epi32(d, middle));
    vector ab_lower = _mm256_srai_epi16(ab, 15), cd_lower = _mm256_srai_epi16(cd, 15);
    vector place = _mm256_packus_epi16(_mm256_xor_si256(ab, ab_lower), _mm256_xor_si256(cd, cd_lower));
    vector further = _mm256_xor_si256(place, _mm256_set1_epi8(-128));
    vector code = _mm256_or_si256(entries(table + 256, place), entries(table + 384, further));
    vector lower = _mm256_packs_epi16(ab_lower, cd_lower);
    vector inverted = _mm256_xor_si256(code, lower);
    vector one_more = both == 256 ? lower : broadcast(0);
    return _mm256_shuffle_epi8(_mm256_sub_epi8(inverted, one_more), in_lanes);
}

/* Writes a border. volatile keeps this a loop: a compiler may make it a call of memset. */
static void fill_u16(uint16_t *values, uint32_t count, uint16_t value)
{
    const __m256i many = _mm256_set1_epi16((short)value);
    uint32_t k = 0;
    for (; k + 16u <= count; k += 16u) {
        *(volatile __m256i_u *)(void *)(values + k) = many;
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
        __m128i bytes = _mm_loadl_epi64((const __m128i *)(const void *)(row + k));
        _mm_storeu_si128((__m128i *)(void *)(to + k), _mm_cvtepu8_epi16(bytes));
    }
    for (; k < count; k++) {
        *(volatile uint16_t *)(to + k) = (uint8_t)(row != NULL ? row[k] : 0u);
    }
}
