// The one span that is asked for outside of a head.
#include "CHTTPScanner.h"

size_t chs_value_span(const uint8_t *bytes, size_t length) {
    size_t i = 0;
    while (i < length && ((bytes[i] >= 0x20 && bytes[i] != 0x7F) || bytes[i] == '\t')) i++;
    return i;
}
