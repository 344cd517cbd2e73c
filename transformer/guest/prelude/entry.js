// Finds `transform` wherever a script may have put it: a declared function, a const, an arrow.
(function (hooks) {
  "use strict";
  hooks.findTransform = () => (typeof transform === "function" ? transform : undefined);
});
