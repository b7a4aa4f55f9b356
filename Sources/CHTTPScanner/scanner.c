// Which of the scanners is used.
#include "scanners.h"

struct chs_scanner chs_scanner_up_to(enum chs_level highest) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (highest >= CHS_AVX2 && __builtin_cpu_supports("avx2")) {
        return (struct chs_scanner){chs_scan_request_avx2, chs_scan_response_avx2, CHS_AVX2};
    }
    if (highest >= CHS_SSE42 && __builtin_cpu_supports("sse4.2")) {
        return (struct chs_scanner){chs_scan_request_sse42, chs_scan_response_sse42, CHS_SSE42};
    }
#endif
    (void)highest;
    return (struct chs_scanner){chs_scan_request_portable, chs_scan_response_portable, CHS_PORTABLE};
}
