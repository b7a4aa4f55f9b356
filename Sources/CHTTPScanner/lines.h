// Heads, line by line: included once for each width. A line is looked at only when its end may have come, so a head that drips in
// costs linear time.
#include <string.h>

// What a byte that ends a run of allowed bytes means; `at` is its position.
static inline long line_end(const uint8_t *bytes, size_t count, size_t at) {
    if (at == count) return 0;
    if (bytes[at] == '\r') {
        if (at + 1 == count) return 0;
        return bytes[at + 1] == '\n' ? (long)at + 2 : CHS_BARE_CARRIAGE_RETURN;
    }
    return bytes[at] == '\n' ? CHS_BARE_LINE_FEED : CHS_FORBIDDEN_BYTE;
}

// `HTTP/1.x`; returns the minor version or an error.
static inline int version(const uint8_t *at) {
    if (memcmp(at, "HTTP/1.1", 8) == 0) return 1;
    if (memcmp(at, "HTTP/", 5) != 0 || at[5] < '0' || at[5] > '9' || at[6] != '.' || at[7] < '0' || at[7] > '9') {
        return CHS_MALFORMED_START_LINE;
    }
    if (at[5] != '1' || at[7] > '1') return CHS_UNSUPPORTED_VERSION;
    return at[7] - '0';
}

static inline long request_line(const uint8_t *bytes, size_t count, struct chs_state *state) {
    size_t start = state->line_start, at = start;
    // Methods are too short for blocks.
    while (at < count && chs_token_table[bytes[at]]) at++;
    if (at == count) return 0;
    if (at == start || bytes[at] != ' ') return bytes[at] == '\n' ? CHS_BARE_LINE_FEED : CHS_MALFORMED_START_LINE;
    size_t target = at + 1, target_stop = target_end(bytes, target, count);
    if (target_stop == count) return 0;
    if (target_stop == target || bytes[target_stop] != ' ') return CHS_MALFORMED_START_LINE;
    if (target_stop + 9 > count) return memchr(bytes + target_stop, '\n', count - target_stop) ? CHS_MALFORMED_START_LINE : 0;
    int minor = version(bytes + target_stop + 1);
    if (minor < 0) return minor;
    long end = line_end(bytes, count, target_stop + 9);
    if (end == CHS_FORBIDDEN_BYTE) return CHS_MALFORMED_START_LINE;
    if (end <= 0) return end;
    state->method_length = (uint32_t)(at - start);
    state->target_start = (uint32_t)target;
    state->target_length = (uint32_t)(target_stop - target);
    state->minor_version = (uint32_t)minor;
    return end;
}

static inline long status_line(const uint8_t *bytes, size_t count, struct chs_state *state) {
    size_t start = state->line_start;
    if (start + 12 > count) return memchr(bytes + start, '\n', count - start) ? CHS_MALFORMED_START_LINE : 0;
    int minor = version(bytes + start);
    if (minor < 0) return minor;
    const uint8_t *digits = bytes + start + 9;
    if (bytes[start + 8] != ' ' || digits[0] < '1' || digits[0] > '9' || digits[1] < '0' || digits[1] > '9' || digits[2] < '0' ||
        digits[2] > '9') {
        return CHS_MALFORMED_START_LINE;
    }
    size_t at = start + 12;
    if (at < count && bytes[at] == ' ') at++;
    else if (at < count && bytes[at] != '\r') return bytes[at] == '\n' ? CHS_BARE_LINE_FEED : CHS_MALFORMED_START_LINE;
    size_t reason_end = value_end(bytes, at, count);
    long end = line_end(bytes, count, reason_end);
    if (end <= 0) return end;
    state->minor_version = (uint32_t)minor;
    state->status = (uint32_t)((digits[0] - '0') * 100 + (digits[1] - '0') * 10 + (digits[2] - '0'));
    state->reason_start = (uint32_t)at;
    state->reason_length = (uint32_t)(reason_end - at);
    return end;
}

// `value` to `stop` is the value with the white space behind it.
static inline void enter(const uint8_t *bytes, size_t start, size_t name_length, size_t value, size_t stop, struct chs_field *field) {
    size_t trimmed = stop, colon = start + name_length;
    while (trimmed > value && (bytes[trimmed - 1] == ' ' || bytes[trimmed - 1] == '\t')) trimmed--;
    field->name_start = (uint32_t)start;
    field->name_length = (uint16_t)name_length;
    field->id = chs_known_id(bytes + start, name_length);
    field->value_start = (uint32_t)value;
    field->value_length = (uint32_t)(trimmed - value);
    field->flags = value == colon + 2 && bytes[colon + 1] == ' ' && trimmed == stop ? CHS_CANONICAL : 0;
}

// Any line, byte by byte where need be, and what is wrong with it.
static __attribute__((noinline)) long field_line(const uint8_t *bytes, size_t count, size_t start, struct chs_field *field) {
    size_t at = token_end(bytes, start, count);
    if (at == count) return 0;
    size_t name_length = at - start;
    if (bytes[at] != ':' || name_length == 0 || name_length > UINT16_MAX) {
        switch (bytes[at]) {
        case ' ':
        case '\t':
            if (name_length == 0) return CHS_OBSOLETE_LINE_FOLDING;
            while (at < count && (bytes[at] == ' ' || bytes[at] == '\t')) at++;
            if (at == count) return 0;
            return bytes[at] == ':' ? CHS_WHITESPACE_BEFORE_COLON : CHS_MALFORMED_FIELD_NAME;
        case '\n':
            return CHS_BARE_LINE_FEED;
        case '\r':
            if (at + 1 == count) return 0;
            return bytes[at + 1] != '\n' ? CHS_BARE_CARRIAGE_RETURN : CHS_MALFORMED_FIELD_NAME;
        default:
            return CHS_MALFORMED_FIELD_NAME;
        }
    }
    size_t value = at + 1;
    while (value < count && (bytes[value] == ' ' || bytes[value] == '\t')) value++;
    size_t stop = value_end(bytes, value, count);
    long end = line_end(bytes, count, stop);
    if (end <= 0) return end;
    enter(bytes, start, name_length, value, stop, field);
    return end;
}

#ifdef BLOCK

// What nearly every line is: a name shorter than a block, and no defect. Anything else is left to `field_line`.
//
// The next line's start hangs on one search alone, that for the first byte that no value may have. It begins at the name, whose bytes
// are allowed in values too, and does not wait for the colon to be found.
static inline long field_line_quickly(const uint8_t *bytes, size_t count, size_t start, struct chs_field *field) {
    if (count < BLOCK) return field_line(bytes, count, start, field);
    // The block that would reach beyond the end is read further to the left and its masks shifted.
    size_t shift = start + BLOCK > count ? start + BLOCK - count : 0;
    const uint8_t *block = bytes + start - shift;
    unsigned bad = bad_in_value(block) >> shift, colon = colons(block) >> shift;
    size_t stop;
    if (bad != 0) stop = start + (size_t)__builtin_ctz(bad);
    else if (shift == 0) stop = value_end(bytes, start + BLOCK, count);
    else return field_line(bytes, count, start, field);
    if (stop + 2 > count || bytes[stop] != '\r' || bytes[stop + 1] != '\n' || colon == 0) return field_line(bytes, count, start, field);
    // A byte that ends the line is no token character, so this also tells that the colon comes before it.
    unsigned before_colon = (colon & -colon) - 1;
    if (before_colon == 0 || (bad_in_token(block) >> shift & before_colon) != 0) return field_line(bytes, count, start, field);
    size_t name_length = (size_t)__builtin_ctz(colon), value = start + name_length + 1;
    while (bytes[value] == ' ' || bytes[value] == '\t') value++;
    enter(bytes, start, name_length, value, stop, field);
    return (long)stop + 2;
}

#else

#define field_line_quickly field_line

#endif

static inline long fields_until_end(const uint8_t *bytes, size_t count, struct chs_state *state, struct chs_field *fields, size_t capacity) {
    size_t at = state->line_start;
    for (;;) {
        if (at < count && bytes[at] == '\r') {
            if (at + 1 == count) break;
            if (bytes[at + 1] != '\n') return CHS_BARE_CARRIAGE_RETURN;
            return (long)at + 2;
        }
        if (at == count) break;
        if (state->field_count == capacity) {
            state->line_start = (uint32_t)at;
            return CHS_TOO_MANY_FIELDS;
        }
        struct chs_field *field = &fields[state->field_count];
        long end = field_line_quickly(bytes, count, at, field);
        if (end < 0) return end;
        if (end == 0) break;
        uint64_t bit = 1ull << (field->id & 63);
        state->repeated[field->id >> 6] |= state->present[field->id >> 6] & bit;
        state->present[field->id >> 6] |= bit;
        state->canonical &= field->flags;
        state->field_count++;
        at = (size_t)end;
    }
    state->line_start = (uint32_t)at;
    state->searched = (uint32_t)count;
    return 0;
}

static inline long scan(const uint8_t *bytes, size_t count, struct chs_state *state, struct chs_field *fields, size_t capacity,
                 long (*start_line)(const uint8_t *, size_t, struct chs_state *)) {
    // Nothing new can be said about an unfinished line until its end has come.
    if (state->searched > state->line_start) {
        if (memchr(bytes + state->searched, '\n', count - state->searched) == NULL) {
            state->searched = (uint32_t)count;
            return 0;
        }
    }
    if (state->stage == 0) {
        long end = start_line(bytes, count, state);
        if (end < 0) return end;
        if (end == 0) {
            state->searched = (uint32_t)count;
            return 0;
        }
        state->line_start = (uint32_t)end;
        state->stage = 1;
        state->canonical = CHS_CANONICAL;
    }
    return fields_until_end(bytes, count, state, fields, capacity);
}

long CHS_NAME(chs_scan_request)(const uint8_t *bytes, size_t count, struct chs_state *state, struct chs_field *fields, size_t capacity) {
    // RFC 9112 2.2: one empty line before a request line is ignored.
    if (state->stage == 0 && state->skipped == 0 && count > 0 && bytes[0] == '\r') {
        if (count == 1) return 0;
        if (bytes[1] != '\n') return CHS_BARE_CARRIAGE_RETURN;
        state->skipped = 2;
        state->line_start = 2;
        if (state->searched < 2) state->searched = 2;
    }
    return scan(bytes, count, state, fields, capacity, request_line);
}

long CHS_NAME(chs_scan_response)(const uint8_t *bytes, size_t count, struct chs_state *state, struct chs_field *fields, size_t capacity) {
    return scan(bytes, count, state, fields, capacity, status_line);
}
