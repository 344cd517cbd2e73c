// Where in a result a value without a JSON form sits, as a path like `$.contact.tags[0]`.
(function (hooks) {
  "use strict";
  const MAX_DEPTH = 64;

  function step(key, isArray) {
    if (isArray) return `[${key}]`;
    return /^[A-Za-z_$][\w$]*$/.test(key) ? `.${key}` : `[${JSON.stringify(key)}]`;
  }

  function search(value, wanted, path, depth) {
    if (Object.is(value, wanted)) return path;
    if (typeof value !== "object" || value === null || depth > MAX_DEPTH) return undefined;
    for (const key of Object.keys(value)) {
      const found = search(value[key], wanted, path + step(key, Array.isArray(value)), depth + 1);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  hooks.pathTo = (root, wanted) => search(root, wanted, "$", 0);
});
