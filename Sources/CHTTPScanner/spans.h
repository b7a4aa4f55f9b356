// Where runs of allowed bytes end, in blocks. Included once for each width, which defines BLOCK and the `bad_in_…` functions.

// The block that would reach beyond the end is read further to the left and its mask shifted, so nothing outside is touched.
#define SPAN(kind, slow) \
    static inline size_t kind##_end(const uint8_t *bytes, size_t at, size_t count) { \
        for (; at + BLOCK <= count; at += BLOCK) { \
            unsigned bad = bad_in_##kind(bytes + at); \
            if (bad != 0) return at + (size_t)__builtin_ctz(bad); \
        } \
        if (at == count) return count; \
        if (count >= BLOCK) { \
            unsigned bad = bad_in_##kind(bytes + count - BLOCK) >> (at + BLOCK - count); \
            return bad != 0 ? at + (size_t)__builtin_ctz(bad) : count; \
        } \
        while (at < count && (slow)) at++; \
        return at; \
    }

SPAN(token, chs_token_table[bytes[at]])
SPAN(value, (bytes[at] >= 0x20 && bytes[at] != 0x7F) || bytes[at] == '\t')
SPAN(target, bytes[at] > 0x20 && bytes[at] < 0x7F)

#undef SPAN
