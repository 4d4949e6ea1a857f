/* The words of AVX-512 with VNNI and VBMI for integers: codes are bytes, multiplied four at a time by
 * VPDPBUSD, and looked up in 128 entries of a table by VPERMI2B. */

/* A word at any byte. */
typedef int32_t word __attribute__((aligned(1), may_alias));

/* 16 sums, weights, or codes: one in each lane. */
typedef __m512i vector;

static vector load(const void *from)
{
    return _mm512_loadu_si512(from);
}

static vector broadcast(int number)
{
    return _mm512_set1_epi32(number);
}

/* Four codes, the same in all lanes, and four weights in each lane. */
static vector multiply_add(vector acc, const uint8_t *in, vector weight)
{
    return _mm512_dpbusd_epi32(acc, broadcast(*(const word *)in), weight);
}

static vector add(vector a, vector b)
{
    return _mm512_add_epi32(a, b);
}

static vector multiply(vector a, vector b)
{
    return _mm512_mullo_epi32(a, b);
}

static vector larger_lanes(vector a, vector b)
{
    return _mm512_max_epi32(a, b);
}

static vector smaller_lanes(vector a, vector b)
{
    return _mm512_min_epi32(a, b);
}

/* Rounded down. */
static vector shift_right(vector a, int places)
{
    return _mm512_sra_epi32(a, _mm_cvtsi32_si128(places));
}

static vector shift_right_unsigned(vector a, int places)
{
    return _mm512_srl_epi32(a, _mm_cvtsi32_si128(places));
}

/* What is `lanes` lanes further on, in each lane. */
static vector lanes_from(vector all, int lanes)
{
    const vector numbers = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    return _mm512_permutexvar_epi32(add(numbers, broadcast(lanes)), all);
}

/* Which lanes are among the first `count`. */
static __mmask16 first_lanes(int count)
{
    return (__mmask16)(count < 0 ? 0 : count < 16 ? (1 << count) - 1 : 0xFFFF);
}

/* The first `count` codes. */
static void store_codes(uint8_t *to, vector codes, int count)
{
    _mm512_mask_cvtepi32_storeu_epi8(to, first_lanes(count), codes);
}

/* The first `count` sums. */
static void store_logits(int32_t *to, vector acc, int count)
{
    _mm512_mask_storeu_epi32(to, first_lanes(count), acc);
}

/* Four codes of each lane, side by side in its bytes. */
static vector side_by_side(vector a, vector b, vector c, vector d)
{
    vector ab = _mm512_or_si512(a, _mm512_slli_epi32(b, 8));
    vector cd = _mm512_or_si512(c, _mm512_slli_epi32(d, 8));
    return _mm512_or_si512(ab, _mm512_slli_epi32(cd, 16));
}

/* The sum of four codes in each lane, each times its byte of `weights`. */
static vector plus_codes(vector sum, vector codes, int weights)
{
    return _mm512_dpbusd_epi32(sum, codes, broadcast(weights));
}

/* The codes at 128 entries of the table from `first` on, by the low 7 bits of each byte. */
static vector entries(const uint8_t *first, vector low)
{
    return _mm512_permutex2var_epi8(load(first), low, load(first + 64));
}

/* The codes of four indices of each lane, side by side in its bytes. The table has four parts of 128
 * entries: bits 7 and 8 of an index choose one. */
static vector look_up(const uint8_t *table, vector a, vector b, vector c, vector d)
{
    const __mmask64 odd_bytes = 0xAAAAAAAAAAAAAAAAu;
    vector ac = _mm512_or_si512(a, _mm512_slli_epi32(c, 16));
    vector bd = _mm512_or_si512(b, _mm512_slli_epi32(d, 16));
    vector low = _mm512_mask_blend_epi8(odd_bytes, ac, _mm512_slli_epi32(bd, 8));
    vector high = _mm512_mask_blend_epi8(odd_bytes, _mm512_srli_epi32(ac, 8), bd);
    __mmask64 bit7 = _mm512_movepi8_mask(low);
    __mmask64 bit8 = _mm512_test_epi8_mask(high, _mm512_set1_epi8(1));
    vector below = _mm512_mask_blend_epi8(bit7, entries(table, low), entries(table + 128, low));
    vector above = _mm512_mask_blend_epi8(bit7, entries(table + 256, low), entries(table + 384, low));
    return _mm512_mask_blend_epi8(bit8, below, above);
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
    for (int k = 0; k < count; k += 64) {
        __mmask64 left = count - k < 64 ? (1ULL << (count - k)) - 1u : ~0ULL;
        __m512i bytes = row ? _mm512_maskz_loadu_epi8(left, row + k) : _mm512_setzero_si512();
        _mm512_mask_storeu_epi8(to + k, left, bytes);
    }
}
