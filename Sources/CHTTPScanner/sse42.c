// The scanner in blocks of 16 bytes.
#include "names.h"
#include "scanners.h"

#if defined(__x86_64__)
#include <immintrin.h>

#pragma clang attribute push(__attribute__((target("sse4.2"))), apply_to = function)

#define BLOCK 16

static inline unsigned bad_in_value(const uint8_t *at) {
    __m128i block = _mm_loadu_si128((const __m128i *)at);
    __m128i control = _mm_cmpeq_epi8(_mm_min_epu8(block, _mm_set1_epi8(0x1F)), block);
    __m128i tab = _mm_cmpeq_epi8(block, _mm_set1_epi8('\t')), del = _mm_cmpeq_epi8(block, _mm_set1_epi8(0x7F));
    return (unsigned)_mm_movemask_epi8(_mm_or_si128(_mm_andnot_si128(tab, control), del));
}

static inline unsigned colons(const uint8_t *at) {
    __m128i block = _mm_loadu_si128((const __m128i *)at);
    return (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(block, _mm_set1_epi8(':')));
}

static inline unsigned bad_in_target(const uint8_t *at) {
    __m128i block = _mm_loadu_si128((const __m128i *)at);
    __m128i low = _mm_cmpeq_epi8(_mm_min_epu8(block, _mm_set1_epi8(0x20)), block);
    __m128i high = _mm_cmpeq_epi8(_mm_max_epu8(block, _mm_set1_epi8(0x7F)), block);
    return (unsigned)_mm_movemask_epi8(_mm_or_si128(low, high));
}

// A token character is one whose low half has, in `columns`, the bit that its high half has in `rows`.
static inline unsigned bad_in_token(const uint8_t *at) {
    const __m128i columns = _mm_setr_epi8(CHS_TOKEN_COLUMNS), rows = _mm_setr_epi8(CHS_TOKEN_ROWS), half = _mm_set1_epi8(0x0F);
    __m128i block = _mm_loadu_si128((const __m128i *)at);
    __m128i column = _mm_shuffle_epi8(columns, _mm_and_si128(block, half));
    __m128i row = _mm_shuffle_epi8(rows, _mm_and_si128(_mm_srli_epi16(block, 4), half));
    return (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(_mm_and_si128(column, row), _mm_setzero_si128()));
}

#include "spans.h"

#define CHS_NAME(name) name##_sse42
#include "lines.h"

#pragma clang attribute pop
#endif
