/* The words of AVX2 and FMA for floats. */

/* 8 sums, weights, or values: one in each lane. */
typedef __m256 vector;

static vector load(const float *from)
{
    return _mm256_loadu_ps(from);
}

/* The first `count` lanes. */
static void store(float *to, vector values, int count)
{
    const __m256i numbers = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    if (count >= 8) {
        _mm256_storeu_ps(to, values);
    } else {
        _mm256_maskstore_ps(to, _mm256_cmpgt_epi32(_mm256_set1_epi32(count), numbers), values);
    }
}

static vector broadcast(float number)
{
    return _mm256_set1_ps(number);
}

/* a * b + c, rounded once. */
static vector fused(vector a, vector b, vector c)
{
    return _mm256_fmadd_ps(a, b, c);
}

static vector add(vector a, vector b)
{
    return _mm256_add_ps(a, b);
}

static vector subtract(vector a, vector b)
{
    return _mm256_sub_ps(a, b);
}

static vector multiply(vector a, vector b)
{
    return _mm256_mul_ps(a, b);
}

static vector divide(vector a, vector b)
{
    return _mm256_div_ps(a, b);
}

static vector larger_lanes(vector a, vector b)
{
    return _mm256_max_ps(a, b);
}

static vector smaller_lanes(vector a, vector b)
{
    return _mm256_min_ps(a, b);
}

/* To the next integer. */
static vector rounded(vector a)
{
    return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

/* a * 2^n, n integers: added to the exponents. */
static vector times_power_of_2(vector a, vector n)
{
    __m256i exponents = _mm256_slli_epi32(_mm256_cvtps_epi32(n), 23);
    return _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(a), exponents));
}

/* What is `lanes` lanes further on, in each lane. */
static vector lanes_from(vector all, int lanes)
{
    const __m256i numbers = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_permutevar8x32_ps(all, _mm256_add_epi32(numbers, _mm256_set1_epi32(lanes)));
}

/* Writes a border. volatile keeps this a loop: a compiler may make it a call of memset. */
static void fill_float(float *values, uint32_t count, float value)
{
    const __m256i many = _mm256_castps_si256(_mm256_set1_ps(value));
    uint32_t k = 0;
    for (; k + 8u <= count; k += 8u) {
        *(volatile __m256i_u *)(void *)(values + k) = many;
    }
    for (; k < count; k++) {
        *(volatile float *)(values + k) = value;
    }
}

/* Copies a row of the image; a null pointer is background. */
static void copy_float(float *to, const uint8_t *row, int count)
{
    int k = 0;
    for (; row && k + 8 <= count; k += 8) {
        __m128i bytes = _mm_loadl_epi64((const __m128i *)(const void *)(row + k));
        _mm256_storeu_ps(to + k, _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(bytes)));
    }
    for (; k < count; k++) {
        *(volatile float *)(to + k) = (uint8_t)(row != NULL ? row[k] : 0u);
    }
}
