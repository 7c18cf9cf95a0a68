// The little of the C library that a notebook can have: memory, and giving up.
#ifndef GLOVEBOX_STDLIB_H
#define GLOVEBOX_STDLIB_H

#include <stddef.h>

void *malloc(size_t size);
void *calloc(size_t count, size_t size);
void *realloc(void *old, size_t size);
void free(void *memory);
_Noreturn void abort(void);

#endif
