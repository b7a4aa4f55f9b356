// Shared by the scanner's files only.
#ifndef CHS_INTERNAL_NAMES_H
#define CHS_INTERNAL_NAMES_H

#include <string.h>

#include "CHTTPScanner.h"

extern const uint8_t chs_token_table[256];

// The same set for shuffles: bit h of column l says that the byte h * 16 + l is a token character. A test compares the two.
#define CHS_TOKEN_COLUMNS \
    (char)0xE8, (char)0xFC, (char)0xF8, (char)0xFC, (char)0xFC, (char)0xFC, (char)0xFC, (char)0xFC, \
    (char)0xF8, (char)0xF8, (char)0xF4, (char)0x54, (char)0xD0, (char)0x54, (char)0xF4, (char)0x70
#define CHS_TOKEN_ROWS 1, 2, 4, 8, 16, 32, 64, (char)128, 0, 0, 0, 0, 0, 0, 0, 0

#define CHS_LONGEST_NAME 40
#define CHS_NAMES_PER_BUCKET 8

struct chs_known_name {
    char text[CHS_LONGEST_NAME + 1];
    uint8_t id;
};

extern const struct chs_known_name chs_known_names[CHS_WELL_KNOWN_COUNT];
// Places in that table, counted from 1, by length and first letter, so that most look-ups compare one name or none. A row ends with 0.
extern uint8_t chs_name_buckets[CHS_LONGEST_NAME + 1][32][CHS_NAMES_PER_BUCKET];

// `name` is a token, and among token characters setting bit 5 confuses no letter with anything else.
static inline int chs_matches(const uint8_t *name, const char *lower, size_t length) {
    const uint64_t lower_case = 0x2020202020202020u;
    uint64_t a, b;
    if (length < 8) {
        for (size_t i = 0; i < length; i++) {
            if ((name[i] | 0x20) != (uint8_t)lower[i]) return 0;
        }
        return 1;
    }
    // The last block overlaps the one before it.
    for (size_t i = 0; i + 8 < length; i += 8) {
        memcpy(&a, name + i, 8);
        memcpy(&b, lower + i, 8);
        if ((a | lower_case) != b) return 0;
    }
    memcpy(&a, name + length - 8, 8);
    memcpy(&b, lower + length - 8, 8);
    return (a | lower_case) == b;
}

static inline uint8_t chs_known_id(const uint8_t *name, size_t length) {
    if (length == 0 || length > CHS_LONGEST_NAME) return 0;
    const uint8_t *bucket = chs_name_buckets[length][name[0] & 31];
    for (; *bucket != 0; bucket++) {
        const struct chs_known_name *candidate = &chs_known_names[*bucket - 1];
        if (chs_matches(name, candidate->text, length)) return candidate->id;
    }
    return 0;
}

#endif
