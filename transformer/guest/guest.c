/* The guest: QuickJS-NG behind a small interface without a single import.
 *
 * The host writes a request into the mailbox (guest.h) and calls one export. The guest answers
 * in the same mailbox and returns its status. Nothing is ever freed at the end of a run: the
 * host puts the whole linear memory back to an earlier image instead.
 *
 * Order of life: open, add_prelude (once per prelude file, then once with nothing) ->
 * [image "base"] -> load -> [image "script"] -> run, restore, run, restore, ...
 * A compiling sandbox is the base image after enable_compiler; it never runs a script.
 */
#include <string.h>

#include "guest.h"
#include "heap.h"

#define EXPORT(name) __attribute__((export_name(#name)))

enum { ROOM_BYTES = 96 << 10, GC_THRESHOLD_BYTES = 8 << 20 };

struct mailbox mailbox;
JSRuntime *runtime;
JSContext *context;
JSValue hooks = JS_UNDEFINED;

static JSValue transform = JS_UNDEFINED;

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

EXPORT(open) int export_open(uint32_t stack_bytes) {
    runtime = JS_NewRuntime2(&allocator, NULL);
    JS_SetMaxStackSize(runtime, stack_bytes);
    JS_SetGCThreshold(runtime, GC_THRESHOLD_BYTES);
    JS_SetInterruptHandler(runtime, out_of_polls, NULL);
    context = JS_NewContextRaw(runtime);
    add_intrinsics();
    JSValue global = JS_GetGlobalObject(context);
    hooks = JS_NewObject(context);
    add_surroundings(global);
    add_json_guards(global);
    JS_FreeValue(context, global);
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
    int flags = (as_module ? JS_EVAL_TYPE_MODULE : JS_EVAL_TYPE_GLOBAL) | JS_EVAL_FLAG_COMPILE_ONLY;
    JSValue code = JS_Eval(context, source, mailbox.request.first_bytes, "transform.js", flags);
    if (JS_IsException(code)) return fail(SYNTAX_ERROR);
    size_t bytes;
    /* Source stripped, debug kept: errors keep their line and column. */
    flags = JS_WRITE_OBJ_BYTECODE | JS_WRITE_OBJ_STRIP_SOURCE;
    uint8_t *bytecode = JS_WriteObject(context, &bytes, code, flags);
    if (!bytecode) return fail(SYNTAX_ERROR);
    return succeed(bytecode, bytes);
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
    return report(ASYNC_UNSETTLED, NULL,
                  "the promise never settles: nothing is left to run that could settle it", NULL);
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

EXPORT(load) int export_load(void) {
    mailbox.reply.phase = LOAD;
    seed_random(mailbox.request.seed);
    JS_UpdateStackTop(runtime);
    start_memory_budget();
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
    if (mailbox.reply.entry == NO_ENTRY) return report(NO_TRANSFORM_FUNCTION, NULL, NULL, NULL);
    return succeed(NULL, 0);
}

static JSValue parse(uint32_t address, uint32_t bytes) {
    return JS_ParseJSON(context, (const char *)(uintptr_t)address, bytes, "input");
}

static int serialize(JSValue value) {
    mailbox.reply.phase = SERIALIZE;
    JSValue text = JS_JSONStringify(context, value, JS_UNDEFINED, JS_UNDEFINED);
    if (JS_IsException(text)) return fail_to_serialize(value);
    if (!JS_IsString(text)) {
        const char *kind = JS_IsFunction(context, value) ? "function"
                         : JS_IsSymbol(value)            ? "symbol"
                                                         : "undefined";
        return report(OUTPUT_NOT_JSON, kind, NULL, "$");
    }
    size_t bytes;
    const char *output = JS_ToCStringLen(context, &bytes, text);
    if (!output) return fail(THROWN);
    int status = succeed(output, bytes);
    return bytes > mailbox.request.max_output ? OUTPUT_TOO_LARGE : status;
}

EXPORT(run) int export_run(void) {
    mailbox.reply.phase = PARSE;
    /* Top-level code that drew numbers goes on where it stopped. */
    if (!(mailbox.reply.flags & CLOCK_OR_RANDOM_READ)) seed_random(mailbox.request.seed);
    JS_UpdateStackTop(runtime);
    heap_account.limit = UINT32_MAX;
    JSValue arguments[2];
    arguments[0] = parse(mailbox.request.first, mailbox.request.first_bytes);
    if (JS_IsException(arguments[0])) return fail_to_read("input");
    arguments[1] = parse(mailbox.request.second, mailbox.request.second_bytes);
    if (JS_IsException(arguments[1])) return fail_to_read("context");
    mailbox.reply.phase = RUN;
    start_memory_budget();
    JSValue value = JS_Call(context, transform, JS_UNDEFINED, 2, (JSValueConst *)arguments);
    if (JS_IsException(value)) return fail(THROWN);
    enum Status status = settle(&value);
    if (status == ASYNC_UNSETTLED) return unsettled();
    if (status != OK) return fail(status);
    status = serialize(value);
    /* A catch that swallowed the interruption does not lift the budget. */
    if (mailbox.reply.polls > mailbox.request.max_polls && status != TICKS_EXCEEDED)
        return report(TICKS_EXCEEDED, NULL, "interrupted", NULL);
    return status;
}
