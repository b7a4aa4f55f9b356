// The scanner in blocks of 32 bytes.
#include "names.h"
#include "scanners.h"

#if defined(__x86_64__)
#include <immintrin.h>

#pragma clang attribute push(__attribute__((target("avx2"))), apply_to = function)

#define BLOCK 32

static inline unsigned bad_in_value(const uint8_t *at) {
    __m256i block = _mm256_loadu_si256((const __m256i *)at);
    __m256i control = _mm256_cmpeq_epi8(_mm256_min_epu8(block, _mm256_set1_epi8(0x1F)), block);
    __m256i tab = _mm256_cmpeq_epi8(block, _mm256_set1_epi8('\t')), del = _mm256_cmpeq_epi8(block, _mm256_set1_epi8(0x7F));
    return (unsigned)_mm256_movemask_epi8(_mm256_or_si256(_mm256_andnot_si256(tab, control), del));
}

static inline unsigned colons(const uint8_t *at) {
    __m256i block = _mm256_loadu_si256((const __m256i *)at);
    return (unsigned)_mm256_movemask_epi8(_mm256_cmpeq_epi8(block, _mm256_set1_epi8(':')));
}

static inline unsigned bad_in_target(const uint8_t *at) {
    __m256i block = _mm256_loadu_si256((const __m256i *)at);
    __m256i low = _mm256_cmpeq_epi8(_mm256_min_epu8(block, _mm256_set1_epi8(0x20)), block);
    __m256i high = _mm256_cmpeq_epi8(_mm256_max_epu8(block, _mm256_set1_epi8(0x7F)), block);
    return (unsigned)_mm256_movemask_epi8(_mm256_or_si256(low, high));
}

// A token character is one whose low half has, in `columns`, the bit that its high half has in `rows`.
static inline unsigned bad_in_token(const uint8_t *at) {
    const __m256i columns = _mm256_setr_epi8(CHS_TOKEN_COLUMNS, CHS_TOKEN_COLUMNS), rows = _mm256_setr_epi8(CHS_TOKEN_ROWS, CHS_TOKEN_ROWS), half = _mm256_set1_epi8(0x0F);
    __m256i block = _mm256_loadu_si256((const __m256i *)at);
    __m256i column = _mm256_shuffle_epi8(columns, _mm256_and_si256(block, half));
    __m256i row = _mm256_shuffle_epi8(rows, _mm256_and_si256(_mm256_srli_epi16(block, 4), half));
    return (unsigned)_mm256_movemask_epi8(_mm256_cmpeq_epi8(_mm256_and_si256(column, row), _mm256_setzero_si256()));
}

#include "spans.h"

#define CHS_NAME(name) name##_avx2
#include "lines.h"

#pragma clang attribute pop
#endif
