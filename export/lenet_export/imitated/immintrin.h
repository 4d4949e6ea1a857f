/* What AVX-VNNI adds to AVX2, in AVX2's words, for verification on a machine that lacks it. The macro by
 * which a compiler says that it has it is defined on the command line, and no other header may believe it. */
#undef __AVXVNNI__
#include_next <immintrin.h>
#ifndef LENET_IMITATED_IMMINTRIN_H
#define LENET_IMITATED_IMMINTRIN_H

/* To each lane's sum the products of its four codes, 0 to 255, and its four weights, -128 to 127: those of the
 * even bytes and of the odd ones, as halfwords. */
static inline __m256i imitated_dpbusd(__m256i sum, __m256i codes, __m256i weights)
{
    __m256i even = _mm256_and_si256(codes, _mm256_set1_epi16(255));
    __m256i odd = _mm256_srli_epi16(codes, 8);
    __m256i of_even = _mm256_srai_epi16(_mm256_slli_epi16(weights, 8), 8);
    __m256i of_odd = _mm256_srai_epi16(weights, 8);
    sum = _mm256_add_epi32(sum, _mm256_madd_epi16(even, of_even));
    return _mm256_add_epi32(sum, _mm256_madd_epi16(odd, of_odd));
}

#define _mm256_dpbusd_avx_epi32 imitated_dpbusd
#endif
