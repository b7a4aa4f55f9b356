#include "CNGHTTP2.h"

#include <CBlockCache.h>

static void *allocate(size_t size, void *unused) {
    (void)unused;
    return cblock_allocate(size);
}

static void *allocate_zeroed(size_t count, size_t size, void *unused) {
    (void)unused;
    return cblock_allocate_zeroed(count, size);
}

static void *resize(void *memory, size_t size, void *unused) {
    (void)unused;
    return cblock_resize(memory, size);
}

static void release(void *memory, void *unused) {
    (void)unused;
    cblock_free(memory);
}

int cng_session_new(
    nghttp2_session **session, int is_server, const nghttp2_session_callbacks *callbacks, void *user, const nghttp2_option *option) {
    nghttp2_mem memory = {NULL, allocate, release, allocate_zeroed, resize};
    return is_server ? nghttp2_session_server_new3(session, callbacks, user, option, &memory)
                     : nghttp2_session_client_new3(session, callbacks, user, option, &memory);
}
