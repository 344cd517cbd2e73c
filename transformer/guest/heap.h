/* The guest's only allocator. See heap.c. */
#ifndef HEAP_H
#define HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct heap_account {
    uint32_t used, peak, limit; /* bytes, headers included */
    bool refused;               /* whether any request was ever turned down */
};
extern struct heap_account heap_account;

void *heap_allocate(size_t bytes);
void *heap_allocate_zeroed(size_t count, size_t bytes);
void *heap_reallocate(void *pointer, size_t bytes);
void heap_release(void *pointer);
size_t heap_usable(const void *pointer);
bool heap_keep_room(size_t bytes); /* have so much memory beyond the last block */

#endif
