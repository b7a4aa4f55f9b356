// The inner loop of HTTP/1 parsing: finds the parts of a head and checks every byte of it (RFC 9112 2-5, RFC 9110 5).
#ifndef CHTTPSCANNER_H
#define CHTTPSCANNER_H

#include <stddef.h>
#include <stdint.h>

#include "chs_names.h"

/// The bytes of the field are exactly `name: value CR LF`: a run of such fields can be copied as it is.
#define CHS_CANONICAL 1
/// The field has been removed; its entry is skipped.
#define CHS_REMOVED 2
/// No compression table may remember the field (RFC 7541 7.1.3); never set by the scanner.
#define CHS_SENSITIVE 4

/// One field of a head, as offsets from the head's first byte.
struct chs_field {
    uint32_t name_start;
    uint16_t name_length;
    /// The name's number in chs_names.h; 0 for any other name.
    uint8_t id;
    uint8_t flags;
    uint32_t value_start;
    uint32_t value_length;
};

/// Where scanning stands. Zero it before the first call for a head; it carries on when more bytes have come.
struct chs_state {
    /// Start of the first line that is not finished.
    uint32_t line_start;
    /// How far the unfinished line has been searched for its end already.
    uint32_t searched;
    uint32_t field_count;
    /// 0 start line, 1 fields.
    uint32_t stage;
    /// Bytes of the empty line that came before the start line (RFC 9112 2.2).
    uint32_t skipped;
    uint32_t method_length;
    uint32_t target_start;
    uint32_t target_length;
    uint32_t status;
    uint32_t reason_start;
    uint32_t reason_length;
    uint32_t minor_version;
    /// `CHS_CANONICAL` when every field so far has that flag. Set by the scanner.
    uint32_t canonical;
    /// A bit for each well-known name that occurs.
    uint64_t present[2];
    /// A bit for each well-known name that occurs more than once.
    uint64_t repeated[2];
};

enum chs_error {
    CHS_MALFORMED_START_LINE = -1,
    CHS_UNSUPPORTED_VERSION = -2,
    CHS_MALFORMED_FIELD_NAME = -3,
    CHS_WHITESPACE_BEFORE_COLON = -4,
    CHS_OBSOLETE_LINE_FOLDING = -5,
    CHS_FORBIDDEN_BYTE = -6,
    CHS_BARE_LINE_FEED = -7,
    CHS_BARE_CARRIAGE_RETURN = -8,
    CHS_TOO_MANY_FIELDS = -9,
};

/// Scans a head. Returns its length including the final CR LF and any empty line skipped before it, 0 when it is not complete, or a
/// `chs_error`. `count` must be less than 2^31, at least that of the call before for the same head, and the entries that the calls
/// before have filled must still be in `fields`.
typedef long (*chs_scan)(const uint8_t *bytes, size_t count, struct chs_state *state, struct chs_field *fields, size_t capacity);

/// The same code in three widths.
enum chs_level { CHS_PORTABLE = 0, CHS_SSE42 = 1, CHS_AVX2 = 2 };

struct chs_scanner {
    chs_scan request;
    chs_scan response;
    enum chs_level level;
};

/// The fastest scanner that the processor has, but none above `highest`.
struct chs_scanner chs_scanner_up_to(enum chs_level highest);

/// The number of a field name; 0 when it is not well known.
uint8_t chs_name_id(const uint8_t *name, size_t length);
/// Whether all bytes are token characters (RFC 9110 5.6.2) and there is at least one.
int chs_is_token(const uint8_t *bytes, size_t length);
/// Length of the leading run of bytes allowed in a field value: HTAB, 0x20-0x7E, 0x80-0xFF.
size_t chs_value_span(const uint8_t *bytes, size_t length);
/// Whether the two are equal but for the case of ASCII letters.
int chs_equal_ignoring_case(const uint8_t *left, const uint8_t *right, size_t length);

#endif
