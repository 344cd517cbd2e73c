/* The guest: QuickJS-NG behind a small interface without a single import.
 *
 * The host writes a request into the mailbox (below) and calls one export. The guest answers
 * in the same mailbox and returns its status. Nothing is ever freed at the end of a run: the
 * host puts the whole linear memory back to an earlier image instead.
 *
 * Order of life: open, add_prelude (once per prelude file, then once with nothing) ->
 * [image "base"] -> load -> [image "script"] -> run, restore, run, restore, ...
 * A compiling sandbox is the base image after enable_compiler; it never runs a script.
 */
#include <stdint.h>
#include <string.h>

#include "heap.h"
#include "quickjs.h"

#define EXPORT(name) __attribute__((export_name(#name)))

enum { INBOX_BYTES = 8192, MESSAGE_BYTES = 2048, STACK_TEXT_BYTES = 4096, ROOM_BYTES = 96 << 10 };
enum { GC_THRESHOLD_BYTES = 8 << 20 };

/* Keep in step with transformer/engines/guest_io.py. */
enum Status {
    OK, SYNTAX_ERROR, NO_TRANSFORM_FUNCTION, THROWN, INPUT_NOT_JSON, OUTPUT_TOO_LARGE,
    OUTPUT_NOT_JSON, TICKS_EXCEEDED, MEMORY_EXCEEDED, STACK_EXCEEDED, ASYNC_UNSETTLED, ENGINE_ERROR
};
enum Phase { PARSE, COMPILE, LOAD, RUN, SERIALIZE };
enum Entry { NO_ENTRY, GLOBAL_TRANSFORM, EXPORTED_TRANSFORM, EXPORTED_DEFAULT };
enum Flag { CONSOLE_TRUNCATED = 1, CLOCK_OR_RANDOM_READ = 2 };

static struct {
    struct {
        uint32_t phase, entry, flags;
        uint32_t output, output_bytes;
        uint32_t console, console_bytes;
        uint32_t polls, memory_peak;
    } reply;
    struct {
        uint32_t first, first_bytes;   /* source, bytecode or input; followed by a NUL */
        uint32_t second, second_bytes; /* context; followed by a NUL */
        uint32_t max_polls, max_memory, max_output, max_console;
        double now_ms;
        uint64_t seed;
    } request;
    char inbox[INBOX_BYTES];
} mailbox;

static JSRuntime *runtime;
static JSContext *context;
static JSValue transform = JS_UNDEFINED;
static JSValue hooks = JS_UNDEFINED; /* functions the prelude lends to the guest */
static JSValue unserializable = JS_UNDEFINED;

/* ---- memory ---- */

static uint32_t used_before_run;

static void *js_allocate(void *opaque, size_t bytes) { return heap_allocate(bytes); }
static void *js_allocate_zeroed(void *opaque, size_t count, size_t bytes) { return heap_allocate_zeroed(count, bytes); }
static void *js_reallocate(void *opaque, void *p, size_t bytes) { return heap_reallocate(p, bytes); }
static void js_release(void *opaque, void *p) { heap_release(p); }

static const JSMallocFunctions allocator = { js_allocate_zeroed, js_allocate, js_release, js_reallocate, heap_usable };

/* ---- budget, clock and randomness: all given by the host, so that a run can be repeated ---- */

static int out_of_polls(JSRuntime *rt, void *opaque) {
    return ++mailbox.reply.polls > mailbox.request.max_polls;
}

static uint64_t random_state;

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

/* ---- answers ---- */

static void answer(const void *bytes, size_t count) {
    mailbox.reply.output = (uint32_t)(uintptr_t)bytes;
    mailbox.reply.output_bytes = count;
}

static int finish(enum Status status) {
    mailbox.reply.memory_peak = heap_account.peak - used_before_run;
    return status;
}

/* An error goes out as name NUL message NUL stack NUL path NUL. */
static char error_text[64 + MESSAGE_BYTES + STACK_TEXT_BYTES + 512 + 4];
static size_t error_bytes;

static void add_field(const char *text, size_t limit) {
    size_t bytes = text ? strlen(text) : 0;
    if (bytes > limit) bytes = limit;
    memcpy(error_text + error_bytes, text, bytes);
    error_bytes += bytes;
    error_text[error_bytes++] = 0;
}

static JSValue call_hook(const char *name, int argc, JSValueConst *argv) {
    JSValue hook = JS_GetPropertyStr(context, hooks, name);
    return JS_Call(context, hook, JS_UNDEFINED, argc, argv);
}

static const char *text_of(JSValue value) {
    if (JS_IsException(value)) { JS_FreeValue(context, JS_GetException(context)); return NULL; }
    if (JS_IsUndefined(value)) return NULL;
    const char *text = JS_ToCString(context, value);
    if (!text) JS_FreeValue(context, JS_GetException(context));
    return text;
}

static const char *property(JSValueConst error, const char *name) {
    return text_of(JS_GetPropertyStr(context, error, name));
}

static int report(enum Status status, const char *name, const char *message, const char *stack, const char *path) {
    error_bytes = 0;
    add_field(name, 64);
    add_field(message, MESSAGE_BYTES);
    add_field(stack, STACK_TEXT_BYTES);
    add_field(path, 512);
    answer(error_text, error_bytes);
    return finish(status);
}

static int is(const char *text, const char *expected) { return text && strcmp(text, expected) == 0; }

static const char *path_to_unserializable(JSValueConst root) {
    JSValueConst arguments[2] = { root, unserializable };
    return text_of(call_hook("pathTo", 2, arguments));
}

static enum Status classify(enum Status otherwise, const char *name, const char *message) {
    if (mailbox.reply.polls > mailbox.request.max_polls) return TICKS_EXCEEDED;
    if (is(name, "InternalError") && (heap_account.refused || is(message, "string too long"))) return MEMORY_EXCEEDED;
    if (is(name, "RangeError") && is(message, "Maximum call stack size exceeded")) return STACK_EXCEEDED;
    if (mailbox.reply.phase == SERIALIZE && is(name, "TypeError") && is(message, "circular reference"))
        return OUTPUT_NOT_JSON;
    return otherwise;
}

/* Describing an error may call the script's getters: they run under the same budget. */
static int fail_with(enum Status otherwise, JSValue error, JSValueConst root) {
    heap_account.limit = heap_account.limit > UINT32_MAX - (1 << 20) ? UINT32_MAX : heap_account.limit + (1 << 20); /* room to describe it */
    if (!JS_IsError(error)) {
        JSValueConst arguments[1] = { error };
        const char *message = text_of(call_hook("describe", 1, arguments));
        /* null is what is thrown when there is no memory left for an error object. */
        if (heap_account.refused && JS_IsNull(error)) otherwise = MEMORY_EXCEEDED;
        return report(classify(otherwise, NULL, message), NULL, message ? message : "a value that cannot be shown", NULL, NULL);
    }
    const char *name = property(error, "name"), *message = property(error, "message");
    const char *stack = property(error, "stack");
    enum Status status = classify(otherwise, name, message);
    const char *path = NULL;
    if (status == THROWN && !JS_IsUndefined(unserializable)) {
        status = OUTPUT_NOT_JSON;
        path = path_to_unserializable(root);
    }
    return report(status, name, message, stack, path);
}

static int fail(enum Status otherwise) { return fail_with(otherwise, JS_GetException(context), JS_UNDEFINED); }

/* ---- values that JSON.stringify would turn into {} without a word ---- */

static JSValue refuse_json(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv, int magic) {
    static const char *const kinds[] = { "Map", "Set", "WeakMap", "WeakSet", "Promise", "BigInt" };
    if (mailbox.reply.phase != SERIALIZE) return JS_DupValue(ctx, this_val);
    unserializable = JS_DupValue(ctx, this_val);
    return JS_ThrowTypeError(ctx, "a %s has no JSON form", kinds[magic]);
}

static void guard_prototypes(JSValueConst global) {
    static const char *const kinds[] = { "Map", "Set", "WeakMap", "WeakSet", "Promise", "BigInt" };
    for (int i = 0; i < 6; i++) {
        JSValue constructor = JS_GetPropertyStr(context, global, kinds[i]);
        JSValue prototype = JS_GetPropertyStr(context, constructor, "prototype");
        JSValue guard = JS_NewCFunctionMagic(context, refuse_json, "toJSON", 1, JS_CFUNC_generic_magic, i);
        JS_DefinePropertyValueStr(context, prototype, "toJSON", guard, JS_PROP_WRITABLE | JS_PROP_CONFIGURABLE);
        JS_FreeValue(context, prototype);
        JS_FreeValue(context, constructor);
    }
}

/* ---- life ---- */

EXPORT(mailbox) void *export_mailbox(void) { return &mailbox; }
EXPORT(reserve) void *export_reserve(uint32_t bytes) { return heap_allocate(bytes); }

static void add_intrinsics(void) {
    JS_AddIntrinsicBaseObjects(context);
    JS_AddIntrinsicDate(context);
    JS_AddIntrinsicRegExp(context);
    JS_AddIntrinsicJSON(context);
    JS_AddIntrinsicProxy(context);
    JS_AddIntrinsicMapSet(context);
    JS_AddIntrinsicTypedArrays(context);
    JS_AddIntrinsicPromise(context);
    JS_AddIntrinsicWeakRef(context);
    JS_AddIntrinsicDOMException(context);
    JS_AddIntrinsicAToB(context);
}

static void replace_random(JSValueConst global) {
    JSValue math = JS_GetPropertyStr(context, global, "Math");
    JSValue random = JS_NewCFunction(context, seeded_random, "random", 0);
    JS_DefinePropertyValueStr(context, math, "random", random, JS_PROP_WRITABLE | JS_PROP_CONFIGURABLE);
    JS_FreeValue(context, math);
}

EXPORT(open) int export_open(uint32_t stack_bytes) {
    runtime = JS_NewRuntime2(&allocator, NULL);
    JS_SetMaxStackSize(runtime, stack_bytes);
    JS_SetGCThreshold(runtime, GC_THRESHOLD_BYTES);
    JS_SetInterruptHandler(runtime, out_of_polls, NULL);
    context = JS_NewContextRaw(runtime);
    add_intrinsics();
    JSValue global = JS_GetGlobalObject(context);
    replace_random(global);
    guard_prototypes(global);
    JS_FreeValue(context, global);
    hooks = JS_NewObject(context);
    JS_SetPropertyStr(context, hooks, "log", JS_NewCFunction(context, host_log, "log", 2));
    return OK;
}

/* Without the parser's entry point there is no eval and no Function constructor. */
EXPORT(enable_compiler) int export_enable_compiler(void) { return JS_AddIntrinsicEval(context); }

static JSValue read_bytecode(void) {
    const uint8_t *bytes = (const uint8_t *)(uintptr_t)mailbox.request.first;
    return JS_ReadObject(context, bytes, mailbox.request.first_bytes, JS_READ_OBJ_BYTECODE);
}

/* A prelude file is a function expression that takes the hooks. An empty one closes the base image. */
EXPORT(add_prelude) int export_add_prelude(void) {
    if (mailbox.request.first_bytes == 0) {
        JS_RunGC(runtime);
        heap_keep_room(ROOM_BYTES); /* a memory that grows costs the host its instance */
        memset(&mailbox, 0, sizeof mailbox);
        return OK;
    }
    JSValue value = read_bytecode();
    if (JS_IsException(value)) return fail(ENGINE_ERROR);
    JSValue function = JS_EvalFunction(context, value);
    if (JS_IsException(function)) return fail(ENGINE_ERROR);
    JSValueConst arguments[1] = { hooks };
    JSValue result = JS_Call(context, function, JS_UNDEFINED, 1, arguments);
    if (JS_IsException(result)) return fail(ENGINE_ERROR);
    JS_FreeValue(context, function);
    JS_FreeValue(context, result);
    return OK;
}

/* ---- compile: source in, bytecode out; nothing of the script runs ---- */

EXPORT(compile) int export_compile(uint32_t as_module) {
    mailbox.reply.phase = COMPILE;
    const char *source = (const char *)(uintptr_t)mailbox.request.first;
    int type = as_module ? JS_EVAL_TYPE_MODULE : JS_EVAL_TYPE_GLOBAL;
    JSValue code = JS_Eval(context, source, mailbox.request.first_bytes, "transform.js", type | JS_EVAL_FLAG_COMPILE_ONLY);
    if (JS_IsException(code)) return fail(SYNTAX_ERROR);
    size_t bytes;
    /* Source stripped, debug kept: errors keep their line and column. */
    uint8_t *bytecode = JS_WriteObject(context, &bytes, code, JS_WRITE_OBJ_BYTECODE | JS_WRITE_OBJ_STRIP_SOURCE);
    if (!bytecode) return fail(SYNTAX_ERROR);
    answer(bytecode, bytes);
    return finish(OK);
}

/* ---- load and run ---- */

static int drain_jobs(void) {
    JSContext *ctx;
    int more;
    while ((more = JS_ExecutePendingJob(runtime, &ctx)) > 0)
        if (mailbox.reply.polls > mailbox.request.max_polls) return -1;
    return more;
}

/* Puts a settled promise's value into *value. */
static enum Status settle(JSValue *value) {
    if (!JS_IsPromise(*value)) return OK;
    if (drain_jobs() < 0) return THROWN;
    switch (JS_PromiseState(context, *value)) {
    case JS_PROMISE_PENDING: return ASYNC_UNSETTLED;
    case JS_PROMISE_REJECTED: JS_Throw(context, JS_PromiseResult(context, *value)); return THROWN;
    default: break;
    }
    JSValue result = JS_PromiseResult(context, *value);
    JS_FreeValue(context, *value);
    *value = result;
    return OK;
}

static int unsettled(void) {
    return report(ASYNC_UNSETTLED, NULL, "the promise never settles: nothing is left to run that could settle it", NULL, NULL);
}

static enum Entry find_export(JSModuleDef *module) {
    JSValue namespace = JS_GetModuleNamespace(context, module);
    transform = JS_GetPropertyStr(context, namespace, "transform");
    if (JS_IsFunction(context, transform)) return EXPORTED_TRANSFORM;
    transform = JS_GetPropertyStr(context, namespace, "default");
    return JS_IsFunction(context, transform) ? EXPORTED_DEFAULT : NO_ENTRY;
}

static enum Entry find_entry(JSModuleDef *module) {
    enum Entry entry = module ? find_export(module) : NO_ENTRY;
    if (entry != NO_ENTRY) return entry;
    /* A const or an arrow lives in the lexical scope, which only a script can see. */
    if (!module) transform = call_hook("findTransform", 0, NULL);
    if (JS_IsException(transform)) JS_FreeValue(context, JS_GetException(context));
    return !module && JS_IsFunction(context, transform) ? GLOBAL_TRANSFORM : NO_ENTRY;
}

static void start_budget(void) {
    JS_UpdateStackTop(runtime);
    heap_account.limit = mailbox.request.max_memory > UINT32_MAX - heap_account.used ? UINT32_MAX : heap_account.used + mailbox.request.max_memory;
    heap_account.peak = used_before_run = heap_account.used;
}

EXPORT(load) int export_load(void) {
    mailbox.reply.phase = LOAD;
    random_state = mailbox.request.seed;
    start_budget();
    JSValue code = read_bytecode();
    if (JS_IsException(code)) return fail(ENGINE_ERROR);
    JSModuleDef *module = JS_VALUE_GET_TAG(code) == JS_TAG_MODULE ? JS_VALUE_GET_PTR(code) : NULL;
    if (module && JS_ResolveModule(context, code) < 0) return fail(THROWN);
    JSValue value = JS_EvalFunction(context, code);
    if (JS_IsException(value)) return fail(THROWN);
    enum Status status = module ? settle(&value) : drain_jobs() < 0 ? THROWN : OK;
    if (status == ASYNC_UNSETTLED) return unsettled();
    if (status != OK) return fail(status);
    JS_FreeValue(context, value);
    mailbox.reply.entry = find_entry(module);
    if (mailbox.reply.entry == NO_ENTRY) return report(NO_TRANSFORM_FUNCTION, NULL, "", NULL, NULL);
    return finish(OK);
}

static JSValue parse(uint32_t address, uint32_t bytes, const char *what) {
    return JS_ParseJSON(context, (const char *)(uintptr_t)address, bytes, what);
}

static int unreadable(const char *which) {
    JSValue error = JS_GetException(context);
    const char *name = property(error, "name"), *message = property(error, "message");
    return report(classify(INPUT_NOT_JSON, name, message), name, message, NULL, which);
}

static int serialize(JSValue value) {
    mailbox.reply.phase = SERIALIZE;
    JSValue text = JS_JSONStringify(context, value, JS_UNDEFINED, JS_UNDEFINED);
    if (JS_IsException(text)) return fail_with(THROWN, JS_GetException(context), value);
    if (!JS_IsString(text)) {
        const char *kind = JS_IsFunction(context, value) ? "function" : JS_IsSymbol(value) ? "symbol" : "undefined";
        return report(OUTPUT_NOT_JSON, kind, NULL, NULL, "$");
    }
    size_t bytes;
    const char *output = JS_ToCStringLen(context, &bytes, text);
    if (!output) return fail(THROWN);
    answer(output, bytes);
    return finish(bytes > mailbox.request.max_output ? OUTPUT_TOO_LARGE : OK);
}

EXPORT(run) int export_run(void) {
    mailbox.reply.phase = PARSE;
    /* Top-level code that drew numbers goes on where it stopped. */
    if (!(mailbox.reply.flags & CLOCK_OR_RANDOM_READ)) random_state = mailbox.request.seed;
    heap_account.limit = UINT32_MAX;
    JSValue arguments[2];
    arguments[0] = parse(mailbox.request.first, mailbox.request.first_bytes, "input");
    if (JS_IsException(arguments[0])) return unreadable("input");
    arguments[1] = parse(mailbox.request.second, mailbox.request.second_bytes, "context");
    if (JS_IsException(arguments[1])) return unreadable("context");
    mailbox.reply.phase = RUN;
    start_budget();
    JSValue value = JS_Call(context, transform, JS_UNDEFINED, 2, (JSValueConst *)arguments);
    if (JS_IsException(value)) return fail(THROWN);
    enum Status status = settle(&value);
    if (status == ASYNC_UNSETTLED) return unsettled();
    if (status != OK) return fail(status);
    status = serialize(value);
    /* A catch that swallowed the interruption does not lift the budget. */
    if (mailbox.reply.polls > mailbox.request.max_polls && status != TICKS_EXCEEDED)
        return report(TICKS_EXCEEDED, NULL, "interrupted", NULL, NULL);
    return status;
}
