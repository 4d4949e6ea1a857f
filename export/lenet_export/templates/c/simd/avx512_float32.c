/* The words of AVX-512 for floats. */

/* 16 sums, weights, or values: one in each lane. */
typedef __m512 vector;

static vector load(const float *from)
{
    return _mm512_loadu_ps(from);
}

/* The first `count` lanes. */
static void store(float *to, vector values, int count)
{
    int lanes = count < 0 ? 0 : count < 16 ? (1 << count) - 1 : 0xFFFF;
    _mm512_mask_storeu_ps(to, (__mmask16)lanes, values);
}

static vector broadcast(float number)
{
    return _mm512_set1_ps(number);
}

/* a * b + c, rounded once. */
static vector fused(vector a, vector b, vector c)
{
    return _mm512_fmadd_ps(a, b, c);
}

static vector add(vector a, vector b)
{
    return _mm512_add_ps(a, b);
}

static vector subtract(vector a, vector b)
{
    return _mm512_sub_ps(a, b);
}

static vector multiply(vector a, vector b)
{
    return _mm512_mul_ps(a, b);
}

static vector divide(vector a, vector b)
{
    return _mm512_div_ps(a, b);
}

static vector larger_lanes(vector a, vector b)
{
    return _mm512_max_ps(a, b);
}

static vector smaller_lanes(vector a, vector b)
{
    return _mm512_min_ps(a, b);
}

/* To the next integer. */
static vector rounded(vector a)
{
    return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

/* a * 2^n, n integers. */
static vector times_power_of_2(vector a, vector n)
{
    return _mm512_scalef_ps(a, n);
}

/* What is `lanes` lanes further on, in each lane. */
static vector lanes_from(vector all, int lanes)
{
    const __m512i numbers = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    return _mm512_permutexvar_ps(_mm512_add_epi32(numbers, _mm512_set1_epi32(lanes)), all);
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
    for (int k = 0; k < count; k += 16) {
        __mmask16 left = count - k < 16 ? (__mmask16)((1 << (count - k)) - 1) : 0xFFFF;
        __m128i bytes = row ? _mm_maskz_loadu_epi8(left, row + k) : _mm_setzero_si128();
        store(to + k, _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(bytes)), count - k);
    }
}
