// The models a server answers with, by name: local ones are loaded when first asked for and unloaded when idle or when
// memory is needed; upstreams are always there. Resolves aliases, canaries and the names that clients send by habit.
import { createHash } from "node:crypto";
import { statSync } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import type { EngineStats, ModelInfo } from "../engine/types.ts";
import type { Effort } from "../text/conversation.ts";
import { ConfigError, type ModelConfig, type ServerConfig } from "./config.ts";
import { ServerError } from "./errors.ts";
import { type Backend, LocalBackend } from "./local.ts";
import type { LoadEngine, LoadedModel } from "./model.ts";
import { UpstreamBackend } from "./upstream.ts";

const habitual = /^(gpt-|chatgpt-|o\d|text-embedding-|text-davinci|davinci|babbage|codex|deepseek-|claude-)/;

interface Entry {
  name: string;
  config: ModelConfig;
  createdAt: number;
  loaded?: LoadedModel;
  loading?: Promise<LoadedModel>;
  bytes: number;
  leases: number;
  lastUsed: number;
  /** Replaced or removed: unload with the last lease. */
  retired: boolean;
  /** Adapters in the loaded engine, or on their way there. */
  adapters: Map<string, Promise<void>>;
}

export interface Lease {
  backend: Backend;
  release(): void;
}

export interface ModelListing {
  id: string;
  createdAt: number;
  kind: "local" | "upstream";
  loaded: boolean;
  loading: boolean;
  info?: ModelInfo;
  /** Bytes of weights and cache held now. */
  memoryBytes?: number;
  /** What the chat format knows; absent until a local model is loaded. */
  chat?: { thinks: boolean; efforts: readonly Effort[] };
  aliases: string[];
}

function memoryOf({ engine }: LoadedModel): number {
  return engine.model.weightBytes + engine.stats().cacheTokens * engine.model.cacheBytesPerToken;
}

/** Bytes of weights on disk: what loading will need, before anything is read. */
async function weightBytes(path: string): Promise<number> {
  const found = await stat(path);
  if (found.isFile()) return found.size;
  const names = (await readdir(path)).filter((name) => name.endsWith(".safetensors") || name.endsWith(".gguf"));
  const sizes = await Promise.all(names.map((name) => stat(join(path, name))));
  return sizes.reduce((sum, file) => sum + file.size, 0);
}

export class ModelRegistry {
  readonly #entries = new Map<string, Entry>();
  readonly #aliases = new Map<string, string>();
  readonly #loadEngine: LoadEngine;
  readonly #memoryBytes: number;
  #sweeper: NodeJS.Timeout | undefined;
  /** Loads go one after the other, so that two of them cannot both take the last memory. */
  #loads: Promise<unknown> = Promise.resolve();
  defaultModel: string | undefined;

  constructor(
    config: Pick<ServerConfig, "models" | "aliases" | "defaultModel" | "memoryBytes">,
    loadEngine: LoadEngine,
  ) {
    this.#loadEngine = loadEngine;
    this.#memoryBytes = config.memoryBytes ?? Infinity;
    for (const [name, model] of Object.entries(config.models)) this.define(name, model);
    for (const [alias, name] of Object.entries(config.aliases)) this.#aliases.set(alias, name);
    const names = Object.keys(config.models);
    this.defaultModel = config.defaultModel ?? (names.length === 1 ? names[0] : undefined);
  }

  /** Adds a model or replaces one: running requests end on the old weights, new ones start on the new. */
  define(name: string, config: ModelConfig): void {
    if (config.path !== undefined && !statSync(config.path, { throwIfNoEntry: false }))
      throw new ConfigError(`the model '${name}' is not at ${config.path}`);
    for (const [adapter, path] of Object.entries(config.adapters))
      if (!statSync(path, { throwIfNoEntry: false }))
        throw new ConfigError(`the adapter '${adapter}' of '${name}' is not at ${path}`);
    this.remove(name);
    const now = Date.now();
    this.#entries.set(name, {
      name,
      config,
      createdAt: now,
      bytes: 0,
      leases: 0,
      lastUsed: now,
      retired: false,
      adapters: new Map(),
    });
    if (config.idleSeconds > 0 && !this.#sweeper) {
      this.#sweeper = setInterval(() => this.sweep(Date.now()), 1000);
      this.#sweeper.unref();
    }
  }

  remove(name: string): boolean {
    const entry = this.#entries.get(name);
    if (!entry) return false;
    this.#entries.delete(name);
    entry.retired = true;
    if (entry.leases === 0) void this.#unload(entry);
    return true;
  }

  setAlias(alias: string, name: string): void {
    this.#entry(name);
    this.#aliases.set(alias, name);
  }

  /** The model that an adapter of this name belongs to. */
  #baseOf(adapter: string): Entry | undefined {
    for (const entry of this.#entries.values()) if (Object.hasOwn(entry.config.adapters, adapter)) return entry;
    return undefined;
  }

  #entry(name: string): Entry {
    const entry = this.#entries.get(name) ?? this.#baseOf(name);
    if (entry) return entry;
    const adapters = [...this.#entries.values()].flatMap((each) => Object.keys(each.config.adapters));
    const names = [...this.#entries.keys(), ...adapters, ...this.#aliases.keys()];
    const known =
      names.length > 0 ? `The models here: ${names.slice(0, 20).join(", ")}.` : "No model is configured here.";
    const shown = name.length > 100 ? `${name.slice(0, 100)}…` : name;
    throw new ServerError(404, "model_not_found", `The model '${shown}' does not exist. ${known}`, { field: "model" });
  }

  /**
   * The configured model that answers for a name. `stickiness` (a caller, a user) decides a canary's side, so that one
   * person stays on one side.
   */
  resolve(name: string, stickiness: string): { name: string; config: ModelConfig } {
    let target = this.#aliases.get(name) ?? name;
    if (!this.#entries.has(target) && !this.#baseOf(target) && this.defaultModel !== undefined && habitual.test(name))
      target = this.defaultModel;
    let entry = this.#entry(target);
    const { canary } = entry.config;
    if (canary && target === entry.name) {
      const share = createHash("sha256").update(`${target}\0${stickiness}`).digest().readUInt32BE(0) / 2 ** 32;
      if (share * 100 < canary.percent) entry = this.#entry((target = canary.model));
    }
    return { name: this.#entries.has(target) ? entry.name : target, config: entry.config };
  }

  /** Whether the name is answered under exactly this spelling (not by the default). */
  has(name: string): boolean {
    return this.#entries.has(name) || this.#aliases.has(name) || this.#baseOf(name) !== undefined;
  }

  /** Every model, and every adapter as a model of its own. */
  list(): ModelListing[] {
    return [...this.#entries.values()].flatMap((entry) =>
      [entry.name, ...Object.keys(entry.config.adapters)].map((id) => this.#listing(entry, id)),
    );
  }

  #listing(entry: Entry, id: string): ModelListing {
    return {
      id,
      createdAt: entry.createdAt,
      kind: entry.config.upstream ? "upstream" : "local",
      loaded: entry.loaded !== undefined || entry.config.upstream !== undefined,
      loading: entry.loading !== undefined,
      info: entry.loaded?.engine.model,
      memoryBytes: entry.loaded && memoryOf(entry.loaded),
      chat: entry.loaded && { thinks: entry.loaded.chat.thinking === "switch", efforts: entry.loaded.chat.efforts },
      aliases: [...this.#aliases].filter(([, name]) => name === id).map(([alias]) => alias),
    };
  }

  /** Statistics of the loaded engines, for /metrics. */
  stats(): { name: string; stats: EngineStats; info: ModelInfo }[] {
    return [...this.#entries.values()].flatMap((entry) =>
      entry.loaded ? [{ name: entry.name, stats: entry.loaded.engine.stats(), info: entry.loaded.engine.model }] : [],
    );
  }

  /** Names of models that are to be there from the start and are not yet. */
  pending(): string[] {
    return [...this.#entries.values()]
      .filter((entry) => entry.config.preload && !entry.loaded && entry.config.path)
      .map((entry) => entry.name);
  }

  /** Loads the models that are to be there from the start. */
  async preload(): Promise<void> {
    for (const entry of this.#entries.values()) if (entry.config.preload && entry.config.path) await this.#load(entry);
  }

  /** A configured model ready to answer (loading it if need be); release the lease when the answer has ended. */
  async acquire(name: string): Promise<Lease> {
    const entry = this.#entry(name);
    if (entry.config.upstream) return { backend: new UpstreamBackend(name, entry.config.upstream), release: () => {} };
    entry.leases++;
    let held = true;
    const release = () => {
      if (!held) return;
      held = false;
      entry.leases--;
      entry.lastUsed = Date.now();
      if (entry.retired && entry.leases === 0) void this.#unload(entry);
    };
    try {
      const model = await this.#load(entry);
      if (name === entry.name) return { backend: new LocalBackend(model), release };
      await this.#loadAdapter(entry, model, name);
      return { backend: new LocalBackend(model, name), release };
    } catch (error) {
      release();
      throw error;
    }
  }

  /** Loads a local model ahead of its first request. */
  async load(name: string): Promise<void> {
    (await this.acquire(name)).release();
  }

  /** Frees a local model's memory; refused (409) while it answers. */
  async unload(name: string): Promise<void> {
    const entry = this.#entry(name);
    if (entry.leases > 0 || entry.loading)
      throw new ServerError(409, "model_busy", `The model '${name}' is in use; wait until its answers have ended.`);
    await this.#unload(entry);
  }

  /** The loaded model itself, for who needs more than answers (an adapter, a receipt to replay). */
  async use<T>(name: string, work: (model: LoadedModel) => Promise<T>): Promise<T> {
    const lease = await this.acquire(name);
    try {
      if (!(lease.backend instanceof LocalBackend))
        throw new ServerError(400, "not_local", `The model '${name}' runs on another server.`, { field: "model" });
      return await work(lease.backend.model);
    } finally {
      lease.release();
    }
  }

  async #load(entry: Entry): Promise<LoadedModel> {
    if (entry.loaded) return entry.loaded;
    if (!entry.loading) {
      const load = this.#loads.then(async () => {
        const path = entry.config.path!;
        const bytes = await weightBytes(path);
        await this.#makeRoom(entry, bytes);
        const loaded = await this.#loadEngine(path, entry.config.engine);
        entry.bytes = loaded.engine.model.weightBytes || bytes;
        entry.loaded = loaded;
        return loaded;
      });
      this.#loads = load.catch(() => {});
      entry.loading = load
        .catch((error: unknown) => {
          if (error instanceof ServerError) throw error;
          const reason = error instanceof Error ? error.message : String(error);
          throw new ServerError(503, "model_not_loaded", `The model '${entry.name}' could not be loaded: ${reason}`, {
            retryAfter: 30,
          });
        })
        .finally(() => {
          entry.loading = undefined;
        });
    }
    return entry.loading;
  }

  /** Puts an adapter into the loaded engine when it is first asked for; it goes with the engine. */
  #loadAdapter(entry: Entry, { engine }: LoadedModel, name: string): Promise<void> {
    let loading = entry.adapters.get(name);
    if (!loading) {
      loading = engine.loadAdapter(name, entry.config.adapters[name]).catch((error: Error) => {
        entry.adapters.delete(name);
        throw new ServerError(503, "model_not_loaded", `The adapter '${name}' could not be loaded: ${error.message}`, {
          retryAfter: 30,
        });
      });
      entry.adapters.set(name, loading);
    }
    return loading;
  }

  async #makeRoom(wanted: Entry, bytes: number): Promise<void> {
    const resident = () => [...this.#entries.values()].filter((entry) => entry.loaded && entry !== wanted);
    const used = () => resident().reduce((sum, entry) => sum + entry.bytes, 0);
    const idle = resident()
      .filter((entry) => entry.leases === 0)
      .sort((a, b) => a.lastUsed - b.lastUsed);
    for (const entry of idle) {
      if (used() + bytes <= this.#memoryBytes) return;
      await this.#unload(entry);
    }
    if (used() + bytes > this.#memoryBytes)
      throw new ServerError(
        503,
        "out_of_memory",
        `There is no room for '${wanted.name}' (${Math.ceil(bytes / 2 ** 20)} MiB) while other models are answering.`,
        { retryAfter: 10 },
      );
  }

  async #unload(entry: Entry): Promise<void> {
    const { loaded } = entry;
    entry.loaded = undefined;
    entry.adapters.clear();
    entry.bytes = 0;
    await loaded?.engine.close();
  }

  /** Unloads what has been idle for longer than its idleSeconds. */
  sweep(now: number): void {
    for (const entry of this.#entries.values()) {
      const { idleSeconds } = entry.config;
      if (entry.loaded && entry.leases === 0 && idleSeconds > 0 && now - entry.lastUsed >= idleSeconds * 1000)
        void this.#unload(entry);
    }
  }

  async close(): Promise<void> {
    clearInterval(this.#sweeper);
    await this.#loads;
    await Promise.all([...this.#entries.values()].map((entry) => this.#unload(entry)));
  }
}
