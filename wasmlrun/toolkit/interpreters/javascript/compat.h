// Included before QuickJS's own sources: what they expect of a libc and WASI's does not declare.
#include <stddef.h>
// only QuickJS's memory statistics use it
static inline size_t malloc_usable_size(const void *pointer) { (void)pointer; return 0; }
// dtoa.c includes setjmp.h, which WASI has only with exception handling, and uses nothing of it
#define _SETJMP_H
