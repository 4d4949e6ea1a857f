/* AVX-512's intrinsics by SIMDe (Debian: libsimde-dev), for machines that lack the instructions.
 *
 * The flags of --cpu x86-64-v4 are claimed on the command line, so that the generated C takes this
 * header; no other may believe them. SIMDe includes the compiler's own header for AVX2. */
#undef __AVX512F__
#undef __AVX512VNNI__
#undef __AVX512VBMI__
#include_next <immintrin.h>
#ifndef AVX512_BY_SIMDE
#define AVX512_BY_SIMDE
#define SIMDE_ENABLE_NATIVE_ALIASES
#include <simde/x86/avx512.h>
#include <simde/x86/fma.h>

/* What SIMDe 0.7.4 lacks, lane by lane. In masked loads and stores, a lane whose bit is 0 is not touched. */
#define STORE_LANES(name, vector, lane, store)                                                     \
    static void name(void *to, uint64_t mask, vector values)                                       \
    {                                                                                              \
        lane all[sizeof(vector) / sizeof(lane)];                                                   \
        store(all, values);                                                                        \
        for (unsigned k = 0; k < sizeof all / sizeof *all; k++) {                                  \
            if (mask >> k & 1) {                                                                   \
                ((lane *)to)[k] = all[k];                                                          \
            }                                                                                      \
        }                                                                                          \
    }
#define LOAD_BYTES(name, vector, load)                                                             \
    static vector name(uint64_t mask, const void *from)                                            \
    {                                                                                              \
        uint8_t all[sizeof(vector)] = {0};                                                         \
        for (unsigned k = 0; k < sizeof all; k++) {                                                \
            if (mask >> k & 1) {                                                                   \
                all[k] = ((const uint8_t *)from)[k];                                               \
            }                                                                                      \
        }                                                                                          \
        return load(all);                                                                          \
    }

#pragma GCC diagnostic ignored "-Wunused-function"
STORE_LANES(simde_store_ps, __m512, float, _mm512_storeu_ps)
STORE_LANES(simde_store_epi32, __m512i, int32_t, _mm512_storeu_si512)
STORE_LANES(simde_store_epi8, __m512i, int8_t, _mm512_storeu_si512)
LOAD_BYTES(simde_load_epi8, __m512i, _mm512_loadu_si512)
LOAD_BYTES(simde_load_128_epi8, __m128i, simde_mm_loadu_epi8)

static void simde_store_low_bytes(void *to, uint64_t mask, __m512i values)
{
    int32_t all[16];
    _mm512_storeu_si512(all, values);
    for (int k = 0; k < 16; k++) {
        if (mask >> k & 1) {
            ((uint8_t *)to)[k] = (uint8_t)all[k];
        }
    }
}

static __m512i simde_shift_right(__m512i values, __m128i places)
{
    int32_t all[16];
    _mm512_storeu_si512(all, values);
    for (int k = 0; k < 16; k++) {
        all[k] >>= _mm_cvtsi128_si32(places);
    }
    return _mm512_loadu_si512(all);
}

static __m512i simde_from_bytes(__m128i bytes)
{
    uint8_t narrow[16];
    int32_t wide[16];
    _mm_storeu_si128((void *)narrow, bytes);
    for (int k = 0; k < 16; k++) {
        wide[k] = narrow[k];
    }
    return _mm512_loadu_si512(wide);
}

static __m512 simde_to_floats(__m512i numbers)
{
    int32_t all[16];
    float floats[16];
    _mm512_storeu_si512(all, numbers);
    for (int k = 0; k < 16; k++) {
        floats[k] = (float)all[k];
    }
    return _mm512_loadu_ps(floats);
}

#define _mm512_sra_epi32 simde_shift_right
#define _mm512_cvtepu8_epi32 simde_from_bytes
#define _mm512_cvtepi32_ps simde_to_floats
#define _mm512_mask_storeu_ps simde_store_ps
#define _mm512_mask_storeu_epi32 simde_store_epi32
#define _mm512_mask_storeu_epi8 simde_store_epi8
#define _mm512_maskz_loadu_epi8 simde_load_epi8
#define _mm_maskz_loadu_epi8 simde_load_128_epi8
#define _mm512_mask_cvtepi32_storeu_epi8 simde_store_low_bytes
#endif
