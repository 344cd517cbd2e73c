"""How scripts are run: QuickJS-NG in WebAssembly, hosted by wasmtime."""
