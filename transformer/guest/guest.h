/* What the parts of the guest share: the mailbox, which is the interface to the host. */
#ifndef GUEST_H
#define GUEST_H

#include <stddef.h>
#include <stdint.h>

#include "quickjs.h"

enum { INBOX_BYTES = 8192 };

/* Keep in step with transformer/engines/guest_io.py. */
enum Status {
    OK, SYNTAX_ERROR, NO_TRANSFORM_FUNCTION, THROWN, INPUT_NOT_JSON, OUTPUT_TOO_LARGE,
    OUTPUT_NOT_JSON, TICKS_EXCEEDED, MEMORY_EXCEEDED, STACK_EXCEEDED, ASYNC_UNSETTLED, ENGINE_ERROR
};
enum Phase { PARSE, COMPILE, LOAD, RUN, SERIALIZE };
enum Entry { NO_ENTRY, GLOBAL_TRANSFORM, EXPORTED_TRANSFORM, EXPORTED_DEFAULT };
enum Flag { CONSOLE_TRUNCATED = 1, CLOCK_OR_RANDOM_READ = 2 };

struct mailbox {
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
};

extern struct mailbox mailbox;
extern JSRuntime *runtime;
extern JSContext *context;
extern JSValue hooks; /* functions the guest and the prelude lend each other */

/* surroundings.c: what stands in for an operating system */
extern const JSMallocFunctions allocator;
int out_of_polls(JSRuntime *runtime, void *opaque);
void add_surroundings(JSValueConst global);
void seed_random(uint64_t seed);

/* report.c: how a call ends */
void add_json_guards(JSValueConst global);
void start_memory_budget(void);
JSValue call_hook(const char *name, int argc, JSValueConst *argv);
int succeed(const void *bytes, size_t count);
int report(enum Status status, const char *name, const char *message, const char *path);
int fail(enum Status otherwise);
int fail_to_serialize(JSValueConst root);
int fail_to_read(const char *which);

#endif
