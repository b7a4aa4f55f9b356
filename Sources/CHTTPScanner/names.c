// Field names: which bytes they may have, and which of them have a number.
#include "names.h"

#include <string.h>

// RFC 9110 5.6.2: "!" / "#" / "$" / "%" / "&" / "'" / "*" / "+" / "-" / "." / "^" / "_" / "`" / "|" / "~" / DIGIT / ALPHA
const uint8_t chs_token_table[256] = {
    ['!'] = 1, ['#'] = 1, ['$'] = 1, ['%'] = 1, ['&'] = 1, ['\''] = 1, ['*'] = 1, ['+'] = 1, ['-'] = 1, ['.'] = 1,
    ['^'] = 1, ['_'] = 1, ['`'] = 1, ['|'] = 1, ['~'] = 1, ['0' ... '9'] = 1, ['A' ... 'Z'] = 1, ['a' ... 'z'] = 1,
};

#define ENTRY(id, text) {text, id},
const struct chs_known_name chs_known_names[CHS_WELL_KNOWN_COUNT] = {CHS_WELL_KNOWN_NAMES(ENTRY)};
#undef ENTRY

uint8_t chs_name_buckets[CHS_LONGEST_NAME + 1][32][CHS_NAMES_PER_BUCKET];

__attribute__((constructor)) static void fill(void) {
    for (unsigned i = 0; i < CHS_WELL_KNOWN_COUNT; i++) {
        size_t length = strlen(chs_known_names[i].text);
        uint8_t *bucket = chs_name_buckets[length][chs_known_names[i].text[0] & 31];
        while (*bucket != 0) bucket++;
        *bucket = (uint8_t)(i + 1);
    }
}

int chs_equal_ignoring_case(const uint8_t *left, const uint8_t *right, size_t length) {
    for (size_t i = 0; i < length; i++) {
        uint8_t a = left[i], b = right[i];
        if (a == b) continue;
        if ((a ^ b) != 0x20 || (uint8_t)((a | 0x20) - 'a') > 25) return 0;
    }
    return 1;
}

uint8_t chs_name_id(const uint8_t *name, size_t length) { return chs_known_id(name, length); }

int chs_is_token(const uint8_t *bytes, size_t length) {
    for (size_t i = 0; i < length; i++) {
        if (!chs_token_table[bytes[i]]) return 0;
    }
    return length > 0;
}
