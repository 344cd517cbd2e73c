/* A heap that suits memory which is put back to an image after every run.
 *
 * Fresh blocks come one after the other from the end of the used memory, so that the image is
 * dense and a run touches few pages. Small blocks that are freed wait in a list per size; large
 * ones in one list, joined with their neighbours. The block at the very end grows and shrinks in
 * place, which is what a string being built does. Counting is part of it: a script that asks for
 * too much is told apart from one that throws by itself.
 */
#include "heap.h"

#include <string.h>

typedef struct block {
    uint32_t size; /* of the content, which follows the header */
    uint32_t unused; /* keeps the content at a multiple of 8 */
    struct block *next; /* only while free: the first bytes of the content */
} block;

enum { HEADER = 8, STEP = 8, SMALL = 1024, PAGE = 65536, RESERVE = 16 << 10 };

extern char __heap_base; /* where the linker's own data ends */

struct heap_account heap_account = { .limit = UINT32_MAX };

static block *small_free[SMALL / STEP + 1];
static block *large_free; /* in the order of their addresses */
static char *top;         /* where the unused memory starts */

static char *content(block *b) { return (char *)b + HEADER; }
static block *header(const void *pointer) { return (block *)((char *)pointer - HEADER); }
static char *end_of(block *b) { return content(b) + b->size; }
static uint32_t round_up(size_t bytes) { return bytes ? (bytes + STEP - 1) & ~(size_t)(STEP - 1) : STEP; }

/* The first refusal opens a small reserve, so that the engine can still make its error object. */
static void *refuse(void) {
    if (!heap_account.refused && heap_account.limit < UINT32_MAX - RESERVE) heap_account.limit += RESERVE;
    heap_account.refused = true;
    return NULL;
}

static bool charge(uint32_t bytes) {
    if (bytes > heap_account.limit || heap_account.used > heap_account.limit - bytes) return false;
    heap_account.used += bytes;
    if (heap_account.used > heap_account.peak) heap_account.peak = heap_account.used;
    return true;
}

/* Makes sure that memory reaches `end`. */
static bool reach(uintptr_t end) {
    uintptr_t have = (uintptr_t)__builtin_wasm_memory_size(0) * PAGE;
    if (end <= have) return true;
    uintptr_t pages = (end - have + PAGE - 1) / PAGE, generous = pages + have / PAGE / 4;
    return __builtin_wasm_memory_grow(0, generous) != SIZE_MAX || __builtin_wasm_memory_grow(0, pages) != SIZE_MAX;
}

static block *take_fresh(uint32_t size) {
    if (!top) top = (char *)(((uintptr_t)&__heap_base + STEP - 1) & ~(uintptr_t)(STEP - 1));
    uint64_t end = (uint64_t)(uintptr_t)top + HEADER + size;
    if (end > UINT32_MAX - PAGE || !reach((uintptr_t)end)) return NULL;
    block *b = (block *)top;
    b->size = size;
    top = (char *)(uintptr_t)end;
    return b;
}

static block *take_small(uint32_t size) {
    block *b = small_free[size / STEP];
    if (b) small_free[size / STEP] = b->next;
    return b;
}

/* First fit; what is left over stays in the list when it is of any use. */
static block *take_large(uint32_t size) {
    for (block **link = &large_free; *link; link = &(*link)->next) {
        block *b = *link;
        if (b->size < size) continue;
        if (b->size - size <= SMALL) {
            *link = b->next;
            return b;
        }
        block *rest = (block *)(content(b) + size);
        rest->size = b->size - size - HEADER;
        rest->next = b->next;
        *link = rest;
        b->size = size;
        return b;
    }
    return NULL;
}

void *heap_allocate(size_t bytes) {
    if (bytes > INT32_MAX) return refuse();
    uint32_t size = round_up(bytes);
    if (!charge(HEADER + size)) return refuse();
    block *b = size <= SMALL ? take_small(size) : take_large(size);
    if (!b) b = take_fresh(size);
    if (!b) {
        heap_account.used -= HEADER + size;
        return refuse();
    }
    heap_account.used += b->size - size; /* first fit may give a little more */
    return content(b);
}

void *heap_allocate_zeroed(size_t count, size_t bytes) {
    size_t total;
    if (__builtin_mul_overflow(count, bytes, &total)) return refuse();
    void *pointer = heap_allocate(total);
    return pointer ? memset(pointer, 0, total) : NULL;
}

static void join(block *b) {
    if (b->next && end_of(b) == (char *)b->next) {
        b->size += HEADER + b->next->size;
        b->next = b->next->next;
    }
}

static void give_back_large(block *b) {
    block *before = NULL, *after = large_free;
    while (after && after < b) { before = after; after = after->next; }
    b->next = after;
    join(b);
    if (before) { before->next = b; join(before); } else large_free = b;
}

void heap_release(void *pointer) {
    if (!pointer) return;
    block *b = header(pointer);
    heap_account.used -= HEADER + b->size;
    if (end_of(b) == top) { top = (char *)b; return; }
    if (b->size > SMALL) { give_back_large(b); return; }
    b->next = small_free[b->size / STEP];
    small_free[b->size / STEP] = b;
}

/* Only the last block can change its size where it is. */
static bool resize_in_place(block *b, uint32_t size) {
    if (size <= b->size && end_of(b) != top) return true;
    if (end_of(b) != top) return false;
    uint64_t end = (uint64_t)(uintptr_t)content(b) + size;
    if (size > b->size && (!charge(size - b->size))) return false;
    if (end > UINT32_MAX - PAGE || !reach((uintptr_t)end)) {
        heap_account.used -= size - b->size;
        return false;
    }
    if (size < b->size) heap_account.used -= b->size - size;
    b->size = size;
    top = (char *)(uintptr_t)end;
    return true;
}

void *heap_reallocate(void *pointer, size_t bytes) {
    if (!pointer) return heap_allocate(bytes);
    if (bytes > INT32_MAX) return refuse();
    block *b = header(pointer);
    if (resize_in_place(b, round_up(bytes))) return pointer;
    void *moved = heap_allocate(bytes);
    if (!moved) return NULL;
    memcpy(moved, pointer, b->size < bytes ? b->size : bytes);
    heap_release(pointer);
    return moved;
}

bool heap_keep_room(size_t bytes) { return reach((uintptr_t)top + bytes); }

size_t heap_usable(const void *pointer) { return pointer ? header(pointer)->size : 0; }

/* Whatever else is linked in uses the same heap: two would fight over the end of memory. */
void *malloc(size_t bytes) { return heap_allocate(bytes); }
void *calloc(size_t count, size_t bytes) { return heap_allocate_zeroed(count, bytes); }
void *realloc(void *pointer, size_t bytes) { return heap_reallocate(pointer, bytes); }
void free(void *pointer) { heap_release(pointer); }
