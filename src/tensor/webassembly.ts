// The part of the WebAssembly JavaScript interface that we use, typed here because neither the language's own library nor Node's types
// declare it (the browser's do, and this must compile without them).

export interface WasmMemory {
  readonly buffer: ArrayBuffer;
}

/** Opaque; can be posted to workers. */
export interface WasmModule {
  readonly wasmModule: unique symbol;
}

export interface WebAssemblyApi {
  validate(bytes: Uint8Array): boolean;
  compile(bytes: Uint8Array): Promise<WasmModule>;
  Memory: new (limits: { initial: number; maximum: number; shared: boolean }) => WasmMemory;
  Instance: new (module: WasmModule, imports: { env: { memory: WasmMemory } }) => { readonly exports: unknown };
}

export const { WebAssembly } = globalThis as unknown as { WebAssembly: WebAssemblyApi };
