#include "CBlockCache.h"

#include <malloc.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

// Sanitizers see every block by itself.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define REMEMBERS 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define REMEMBERS 0
#endif
#endif
#ifndef REMEMBERS
#define REMEMBERS 1
#endif

enum {
    /// Classes are 16 bytes apart, as the C library's sizes are: 24 bytes, 40, … 1,032.
    class_count = 64,
    class_step = 16,
    small_limit = class_count * class_step + 8,
    /// Most bytes of small blocks that a thread remembers.
    small_budget = 1 << 18,
    /// Larger blocks are remembered by one size only, that of a record's buffer.
    large_minimum = 16 << 10,
    large_maximum = 18 << 10,
    large_limit = 8,
};

/// A freed block holds the address of the next.
struct block {
    struct block *next;
};

static _Thread_local struct {
    struct block *small[class_count];
    struct block *large;
    uint32_t small_bytes;
    uint32_t large_count;
    bool is_known;
    bool has_ended;
} cache;

static pthread_key_t key;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool has_key;

static void free_list(struct block *block) {
    while (block != NULL) {
        struct block *next = block->next;
        free(block);
        block = next;
    }
}

/// The thread ends: so does its memory of blocks.
static void end(void *unused) {
    (void)unused;
    cache.has_ended = true;
    for (int index = 0; index < class_count; index++) free_list(cache.small[index]);
    free_list(cache.large);
    memset(cache.small, 0, sizeof cache.small);
    cache.large = NULL;
}

static void make_key(void) { has_key = pthread_key_create(&key, end) == 0; }

static bool become_known(void) {
    pthread_once(&once, make_key);
    cache.is_known = has_key && pthread_setspecific(key, &cache) == 0;
    cache.has_ended = !cache.is_known;
    return cache.is_known;
}

void *cblock_allocate(size_t size) {
#if REMEMBERS
    if (size <= small_limit) {
        // The smallest class whose blocks are all large enough.
        size_t index = size <= 24 ? 0 : (size - 9) / class_step;
        struct block *found = cache.small[index];
        if (found != NULL) {
            cache.small[index] = found->next;
            cache.small_bytes -= (uint32_t)(index * class_step + 24);
            return found;
        }
    } else if (size > large_minimum && cache.large != NULL && malloc_usable_size(cache.large) >= size) {
        struct block *found = cache.large;
        cache.large = found->next;
        cache.large_count--;
        return found;
    }
#endif
    return malloc(size);
}

void cblock_free(void *memory) {
#if REMEMBERS
    if (memory == NULL) return;
    size_t size = malloc_usable_size(memory);
    struct block *block = memory;
    if (size >= 24 && size < small_limit + class_step && cache.small_bytes < small_budget) {
        size_t index = (size - 24) / class_step;
        if (index < class_count && !cache.has_ended && (cache.is_known || become_known())) {
            block->next = cache.small[index];
            cache.small[index] = block;
            cache.small_bytes += (uint32_t)(index * class_step + 24);
            return;
        }
    } else if (size > large_minimum && size <= large_maximum && cache.large_count < large_limit) {
        if (!cache.has_ended && (cache.is_known || become_known())) {
            block->next = cache.large;
            cache.large = block;
            cache.large_count++;
            return;
        }
    }
#endif
    free(memory);
}

void *cblock_allocate_zeroed(size_t count, size_t size) {
    if (size != 0 && count > SIZE_MAX / size) return NULL;
    if (count * size > small_limit) return calloc(count, size);
    void *memory = cblock_allocate(count * size);
    return memory == NULL ? NULL : memset(memory, 0, count * size);
}

void *cblock_resize(void *memory, size_t size) { return realloc(memory, size); }
