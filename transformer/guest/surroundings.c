/* What a script finds around it in place of an operating system: memory, a step budget, a clock,
 * random numbers and a console. All of it is given by the host, so that a run can be repeated.
 */
#include <string.h>

#include "guest.h"
#include "heap.h"

static void *js_allocate(void *opaque, size_t bytes) { return heap_allocate(bytes); }
static void *js_allocate_zeroed(void *opaque, size_t count, size_t bytes) {
    return heap_allocate_zeroed(count, bytes);
}
static void *js_reallocate(void *opaque, void *pointer, size_t bytes) {
    return heap_reallocate(pointer, bytes);
}
static void js_release(void *opaque, void *pointer) { heap_release(pointer); }

const JSMallocFunctions allocator = {
    js_allocate_zeroed, js_allocate, js_release, js_reallocate, heap_usable
};

int out_of_polls(JSRuntime *rt, void *opaque) {
    return ++mailbox.reply.polls > mailbox.request.max_polls;
}

static uint64_t random_state;

void seed_random(uint64_t seed) { random_state = seed; }

static JSValue seeded_random(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv) {
    mailbox.reply.flags |= CLOCK_OR_RANDOM_READ;
    uint64_t z = (random_state += 0x9E3779B97F4A7C15u); /* splitmix64 */
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return JS_NewFloat64(ctx, (double)((z ^ (z >> 31)) >> 11) * 0x1p-53);
}

/* The WASI functions that wasi-libc would import. Only the clock is ever reached. */
#define WASI(name) __imported_wasi_snapshot_preview1_##name
enum { WASI_BADF = 8 };
int32_t WASI(clock_time_get)(int32_t id, int64_t precision, int32_t out) {
    mailbox.reply.flags |= CLOCK_OR_RANDOM_READ;
    *(uint64_t *)(uintptr_t)out = (uint64_t)(mailbox.request.now_ms * 1e6);
    return 0;
}
int32_t WASI(fd_close)(int32_t fd) { return WASI_BADF; }
int32_t WASI(fd_fdstat_get)(int32_t fd, int32_t out) { return WASI_BADF; }
int32_t WASI(fd_seek)(int32_t fd, int64_t offset, int32_t whence, int32_t out) { return WASI_BADF; }
int32_t WASI(fd_write)(int32_t fd, int32_t vectors, int32_t count, int32_t out) { return WASI_BADF; }
int close(int fd) { return -1; } /* zig's libc reaches fd_close by another way */

/* ---- console: records of (level byte, text, NUL) ---- */

static char *console_text;
static uint32_t console_room;

/* The mailbox names the console at any time: the host reads it after a trap as well. */
static char *console_grow(uint32_t bytes) {
    uint32_t end = mailbox.reply.console_bytes + bytes;
    if (end > mailbox.request.max_console) { mailbox.reply.flags |= CONSOLE_TRUNCATED; return NULL; }
    if (end > console_room) {
        char *grown = heap_reallocate(console_text, end * 2);
        if (!grown) return NULL;
        console_text = grown;
        console_room = end * 2;
        mailbox.reply.console = (uint32_t)(uintptr_t)grown;
    }
    char *place = console_text + mailbox.reply.console_bytes;
    mailbox.reply.console_bytes = end;
    return place;
}

static void console_append(char level, const char *text, size_t bytes) {
    char *place = console_grow(bytes + 2);
    if (!place) return;
    place[0] = level;
    memcpy(place + 1, text, bytes);
    place[bytes + 1] = 0;
}

static JSValue host_log(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv) {
    int32_t level = 0;
    if (JS_ToInt32(ctx, &level, argv[0])) return JS_EXCEPTION;
    const char *text = JS_ToCString(ctx, argv[1]);
    if (!text) return JS_EXCEPTION;
    console_append((char)level, text, strlen(text));
    JS_FreeCString(ctx, text);
    return JS_UNDEFINED;
}

void add_surroundings(JSValueConst global) {
    JSValue math = JS_GetPropertyStr(context, global, "Math");
    JSValue random = JS_NewCFunction(context, seeded_random, "random", 0);
    JS_DefinePropertyValueStr(context, math, "random", random, JS_PROP_WRITABLE | JS_PROP_CONFIGURABLE);
    JS_FreeValue(context, math);
    JS_SetPropertyStr(context, hooks, "log", JS_NewCFunction(context, host_log, "log", 2));
}
