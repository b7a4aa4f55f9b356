// The scanner for every processor: byte by byte.
#include "names.h"
#include "scanners.h"

static inline size_t token_end(const uint8_t *bytes, size_t at, size_t count) {
    while (at < count && chs_token_table[bytes[at]]) at++;
    return at;
}

static inline size_t value_end(const uint8_t *bytes, size_t at, size_t count) {
    return at + chs_value_span(bytes + at, count - at);
}

static inline size_t target_end(const uint8_t *bytes, size_t at, size_t count) {
    while (at < count && bytes[at] > 0x20 && bytes[at] < 0x7F) at++;
    return at;
}

#define CHS_NAME(name) name##_portable
#include "lines.h"
