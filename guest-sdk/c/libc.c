// What bindings and notebooks need of a C library, for a target that has none.

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define PAGE_BYTES 65536u
// Blocks have powers of two as sizes, their head included; smaller ones are not worth a head.
#define SMALLEST 5
#define LARGEST 31

// In front of every block, and 16 bytes, so that what follows is aligned for any type.
typedef struct head {
  struct head *next;
  uint32_t order;
  uint64_t padding;
} head;

extern unsigned char __heap_base;
static uintptr_t unused;
static head *free_blocks[LARGEST + 1];

_Noreturn void abort(void) { __builtin_trap(); }

// Takes a block that was never used from the end of memory, which grows as needed.
static head *fresh(uint32_t order) {
  if (unused == 0) {
    unused = ((uintptr_t)&__heap_base + 15) & ~(uintptr_t)15;
  }
  uint64_t end = (uint64_t)unused + ((uint64_t)1 << order);
  uint64_t have = (uint64_t)__builtin_wasm_memory_size(0) * PAGE_BYTES;
  if (end > have) {
    uint64_t pages = (end - have + PAGE_BYTES - 1) / PAGE_BYTES;
    if (end > UINT32_MAX || __builtin_wasm_memory_grow(0, (size_t)pages) == SIZE_MAX) {
      return NULL;
    }
  }
  head *block = (head *)unused;
  unused = (uintptr_t)end;
  block->order = order;
  return block;
}

void *malloc(size_t size) {
  uint64_t wanted = (uint64_t)size + sizeof(head);
  uint32_t order = SMALLEST;
  while (((uint64_t)1 << order) < wanted) {
    order += 1;
  }
  if (order > LARGEST) {
    return NULL;
  }
  head *block = free_blocks[order];
  if (block != NULL) {
    free_blocks[order] = block->next;
  } else {
    block = fresh(order);
  }
  return block == NULL ? NULL : block + 1;
}

void free(void *memory) {
  if (memory == NULL) {
    return;
  }
  head *block = (head *)memory - 1;
  block->next = free_blocks[block->order];
  free_blocks[block->order] = block;
}

void *calloc(size_t count, size_t size) {
  size_t bytes;
  if (__builtin_mul_overflow(count, size, &bytes)) {
    return NULL;
  }
  void *memory = malloc(bytes);
  return memory == NULL ? NULL : memset(memory, 0, bytes);
}

void *realloc(void *old, size_t size) {
  if (old == NULL) {
    return malloc(size);
  }
  size_t room = ((size_t)1 << ((head *)old - 1)->order) - sizeof(head);
  if (size <= room) {
    return old;
  }
  void *memory = malloc(size);
  if (memory != NULL) {
    memcpy(memory, old, room);
    free(old);
  }
  return memory;
}

// One instruction each.
void *memcpy(void *restrict to, const void *restrict from, size_t size) {
  return __builtin_memcpy(to, from, size);
}

void *memmove(void *to, const void *from, size_t size) {
  return __builtin_memmove(to, from, size);
}

void *memset(void *to, int byte, size_t size) { return __builtin_memset(to, byte, size); }

int memcmp(const void *one, const void *other, size_t size) {
  const unsigned char *a = one, *b = other;
  for (size_t index = 0; index < size; index += 1) {
    if (a[index] != b[index]) {
      return a[index] < b[index] ? -1 : 1;
    }
  }
  return 0;
}

size_t strlen(const char *text) {
  size_t length = 0;
  while (text[length] != 0) {
    length += 1;
  }
  return length;
}

int strcmp(const char *one, const char *other) {
  size_t index = 0;
  while (one[index] != 0 && one[index] == other[index]) {
    index += 1;
  }
  return (unsigned char)one[index] - (unsigned char)other[index];
}

// The bindings ask for an object file with the component's type. The build adds the type itself.
void __component_type_object_force_link_notebook(void);
void __component_type_object_force_link_notebook(void) {}
