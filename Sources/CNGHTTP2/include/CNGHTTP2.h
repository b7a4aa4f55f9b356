// nghttp2's header for Swift.
#ifndef CNGHTTP2_H
#define CNGHTTP2_H

#include <nghttp2/nghttp2.h>

/// Makes a session, of a server or a client, whose memory comes from the thread's cache of blocks.
int cng_session_new(
    nghttp2_session **session, int is_server, const nghttp2_session_callbacks *callbacks, void *user, const nghttp2_option *option);

#endif
