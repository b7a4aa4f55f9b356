// Counts what each thread allocates, by standing in for malloc in the program it is linked into: the test bundle.
#ifndef CALLOCATIONCOUNTER_H
#define CALLOCATIONCOUNTER_H

/// Allocations of the calling thread so far; -1 under a sanitizer, which has its own malloc.
long cac_thread_allocations(void);

#endif
