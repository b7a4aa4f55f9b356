// Memory for OpenSSL and nghttp2: `malloc`, with a longer memory of what the calling thread has just freed.
//
// Both make and free dozens of small blocks for each handshake, record or stream, and OpenSSL a buffer of 16 KiB for each record. The C
// library remembers seven freed blocks of a size per thread: hundreds of streams that come and go together, and all larger blocks, take
// its slow path. A block is an ordinary block of `malloc`: it may be freed by `free`, and by any thread.
#ifndef CBLOCKCACHE_H
#define CBLOCKCACHE_H

#include <stddef.h>

void *cblock_allocate(size_t size);
void *cblock_allocate_zeroed(size_t count, size_t size);
void *cblock_resize(void *block, size_t size);
void cblock_free(void *block);

#endif
