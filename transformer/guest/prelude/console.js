// console.*: formats its arguments and hands one line to the host.
(function (hooks) {
  "use strict";
  const { log } = hooks;
  const { stringify } = JSON;
  const MAX_TEXT = 8192;

  function plain(key, value) {
    if (typeof value === "bigint") return `${value}n`;
    if (typeof value === "function") return `[Function ${value.name || "anonymous"}]`;
    if (typeof value === "symbol" || value === undefined) return String(value);
    if (value instanceof Map) return { Map: [...value] };
    if (value instanceof Set) return { Set: [...value] };
    if (value instanceof Error) return describeError(value);
    return value;
  }

  function describeError(error) {
    const head = `${error.name}: ${error.message}`;
    const stack = typeof error.stack === "string" ? error.stack.trimEnd() : "";
    return stack ? `${head}\n${stack}` : head;
  }

  function describe(value) {
    if (typeof value === "string") return value;
    if (typeof value === "function" || typeof value === "bigint") return plain("", value);
    if (typeof value !== "object" || value === null) return String(value);
    try {
      if (value instanceof Error) return describeError(value);
      return stringify(value, plain) ?? String(value);
    } catch {
      return "[unprintable object]";
    }
  }

  function write(level, values) {
    const text = values.map(describe).join(" ");
    log(level, text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT)}…` : text);
  }

  const levels = { debug: 1, trace: 1, log: 2, info: 2, dir: 2, warn: 3, error: 4 };
  const console = {};
  for (const [name, level] of Object.entries(levels)) {
    console[name] = { [name](...values) { write(level, values); } }[name];
  }
  console.assert = function assert(condition, ...values) {
    if (!condition) write(4, ["Assertion failed", ...values]);
  };
  hooks.describe = describe;
  Object.defineProperty(globalThis, "console", { value: console, writable: true, configurable: true });
});
