/* How a call ends: with its result, or with an error that says what happened and where. */
#include <string.h>

#include "guest.h"
#include "heap.h"

enum { NAME_BYTES = 64, MESSAGE_BYTES = 2048, STACK_BYTES = 4096, PATH_BYTES = 512 };
enum { DESCRIBING_BYTES = 1 << 20 };

static uint32_t used_before_run;
static JSValue unserializable = JS_UNDEFINED; /* what a JSON guard refused */

static uint32_t add_bounded(uint32_t a, uint32_t b) { return a > UINT32_MAX - b ? UINT32_MAX : a + b; }

/* Input is not charged: the budget starts from what is in use when the script does. */
void start_memory_budget(void) {
    heap_account.limit = add_bounded(heap_account.used, mailbox.request.max_memory);
    heap_account.peak = used_before_run = heap_account.used;
}

static int answer(enum Status status, const void *bytes, size_t count) {
    mailbox.reply.output = (uint32_t)(uintptr_t)bytes;
    mailbox.reply.output_bytes = count;
    mailbox.reply.memory_peak = heap_account.peak - used_before_run;
    return status;
}

int succeed(const void *bytes, size_t count) { return answer(OK, bytes, count); }

/* ---- errors go out as name NUL message NUL stack NUL path NUL ---- */

static char error_text[NAME_BYTES + MESSAGE_BYTES + STACK_BYTES + PATH_BYTES + 4];

static char *add_field(char *end, const char *text, size_t limit) {
    size_t bytes = text ? strnlen(text, limit) : 0;
    memcpy(end, text, bytes);
    end[bytes] = 0;
    return end + bytes + 1;
}

static int report_in_full(enum Status status, const char *const fields[4]) {
    static const size_t limits[4] = { NAME_BYTES, MESSAGE_BYTES, STACK_BYTES, PATH_BYTES };
    char *end = error_text;
    for (int i = 0; i < 4; i++) end = add_field(end, fields[i], limits[i]);
    return answer(status, error_text, end - error_text);
}

int report(enum Status status, const char *name, const char *message, const char *path) {
    return report_in_full(status, (const char *const[]){ name, message, NULL, path });
}

/* ---- what the engine knows about an error ---- */

JSValue call_hook(const char *name, int argc, JSValueConst *argv) {
    JSValue hook = JS_GetPropertyStr(context, hooks, name);
    return JS_Call(context, hook, JS_UNDEFINED, argc, argv);
}

/* NULL when there is none, or when making it failed. */
static const char *text_of(JSValue value) {
    const char *text = NULL;
    if (!JS_IsException(value)) {
        if (JS_IsUndefined(value)) return NULL;
        text = JS_ToCString(context, value);
    }
    if (!text) JS_FreeValue(context, JS_GetException(context));
    return text;
}

static const char *property(JSValueConst error, const char *name) {
    return text_of(JS_GetPropertyStr(context, error, name));
}

static bool is(const char *text, const char *expected) { return text && strcmp(text, expected) == 0; }

static enum Status classify(enum Status otherwise, const char *name, const char *message) {
    bool full = heap_account.refused || is(message, "string too long");
    if (mailbox.reply.polls > mailbox.request.max_polls) return TICKS_EXCEEDED;
    if (is(name, "InternalError") && full) return MEMORY_EXCEEDED;
    if (is(name, "RangeError") && is(message, "Maximum call stack size exceeded")) return STACK_EXCEEDED;
    if (mailbox.reply.phase == SERIALIZE && is(message, "circular reference")) return OUTPUT_NOT_JSON;
    return otherwise;
}

static int fail_with_value(enum Status otherwise, JSValue value) {
    /* null is what is thrown when there is no memory left for an error object. */
    if (heap_account.refused && JS_IsNull(value)) otherwise = MEMORY_EXCEEDED;
    const char *shown = text_of(call_hook("describe", 1, &value));
    return report(classify(otherwise, NULL, NULL), NULL, shown ? shown : "something that cannot be shown", NULL);
}

/* Describing an error may call the script's getters: they run under the same budget. */
static int fail_with(enum Status otherwise, JSValue error, JSValueConst root) {
    heap_account.limit = add_bounded(heap_account.limit, DESCRIBING_BYTES);
    if (!JS_IsError(error)) return fail_with_value(otherwise, error);
    const char *name = property(error, "name"), *message = property(error, "message");
    const char *stack = property(error, "stack"), *path = NULL;
    enum Status status = classify(otherwise, name, message);
    if (status == THROWN && !JS_IsUndefined(unserializable)) {
        JSValueConst arguments[2] = { root, unserializable };
        path = text_of(call_hook("pathTo", 2, arguments));
        status = OUTPUT_NOT_JSON;
    }
    return report_in_full(status, (const char *const[]){ name, message, stack, path });
}

int fail(enum Status otherwise) { return fail_with(otherwise, JS_GetException(context), JS_UNDEFINED); }

int fail_to_serialize(JSValueConst root) { return fail_with(THROWN, JS_GetException(context), root); }

int fail_to_read(const char *which) {
    JSValue error = JS_GetException(context);
    const char *name = property(error, "name"), *message = property(error, "message");
    return report(classify(INPUT_NOT_JSON, name, message), name, message, which);
}

/* ---- values that JSON.stringify would turn into {} without a word ---- */

static const char *const kinds_without_json[] = { "Map", "Set", "WeakMap", "WeakSet", "Promise", "BigInt" };

/* Only while the host serializes the result: a script's own JSON.stringify works as everywhere. */
static JSValue refuse_json(JSContext *ctx, JSValueConst this_value, int argc, JSValueConst *argv, int kind) {
    if (mailbox.reply.phase != SERIALIZE) return JS_DupValue(ctx, this_value);
    unserializable = JS_DupValue(ctx, this_value);
    return JS_ThrowTypeError(ctx, "a %s has no JSON form", kinds_without_json[kind]);
}

void add_json_guards(JSValueConst global) {
    for (size_t kind = 0; kind < sizeof kinds_without_json / sizeof *kinds_without_json; kind++) {
        JSValue constructor = JS_GetPropertyStr(context, global, kinds_without_json[kind]);
        JSValue prototype = JS_GetPropertyStr(context, constructor, "prototype");
        JSValue guard = JS_NewCFunctionMagic(context, refuse_json, "toJSON", 1, JS_CFUNC_generic_magic, kind);
        JS_DefinePropertyValueStr(context, prototype, "toJSON", guard, JS_PROP_WRITABLE | JS_PROP_CONFIGURABLE);
        JS_FreeValue(context, prototype);
        JS_FreeValue(context, constructor);
    }
}
