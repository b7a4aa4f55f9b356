// Shared by the scanner's files only.
#ifndef CHS_SCANNERS_H
#define CHS_SCANNERS_H

#include "CHTTPScanner.h"

long chs_scan_request_portable(const uint8_t *, size_t, struct chs_state *, struct chs_field *, size_t);
long chs_scan_response_portable(const uint8_t *, size_t, struct chs_state *, struct chs_field *, size_t);
long chs_scan_request_sse42(const uint8_t *, size_t, struct chs_state *, struct chs_field *, size_t);
long chs_scan_response_sse42(const uint8_t *, size_t, struct chs_state *, struct chs_field *, size_t);
long chs_scan_request_avx2(const uint8_t *, size_t, struct chs_state *, struct chs_field *, size_t);
long chs_scan_response_avx2(const uint8_t *, size_t, struct chs_state *, struct chs_field *, size_t);

#endif
