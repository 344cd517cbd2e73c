"""The WebAssembly guest: its C source, the JavaScript prelude and the build."""
