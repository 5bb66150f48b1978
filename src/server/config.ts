// The server's configuration: one zod schema for weir.yaml and for programs that embed the server. Defaults are those of a
// single person's machine: loopback, no keys, no CORS.
import { readFileSync } from "node:fs";
import { homedir } from "node:os";
import { isAbsolute, join, resolve } from "node:path";
import { parse } from "yaml";
import { z } from "zod";

const price = z.strictObject({
  /** Per million tokens: prompt tokens found in the cache, prompt tokens not found, output tokens. */
  hit: z.number().min(0),
  miss: z.number().min(0),
  output: z.number().min(0),
  currency: z.string().min(1).default("USD"),
});

/** How an engine is opened; see the engine's own options. */
const engine = z.strictObject({
  context: z.number().int().positive().optional(),
  cacheTokens: z.number().int().positive().optional(),
  maxSequences: z.number().int().positive().optional(),
  weights: z.enum(["f32", "q8_0", "q4_0"]).optional(),
  threads: z.number().int().min(1).max(256).optional(),
});

export type EngineConfig = z.output<typeof engine>;

const model = z
  .strictObject({
    /** A local directory or GGUF file. */
    path: z.string().optional(),
    /** An OpenAI-compatible server that answers instead. */
    upstream: z
      .strictObject({
        /** Up to and including its /v1. */
        url: z.url(),
        model: z.string().optional(),
        /** Name of the environment variable that holds its key; keys do not belong into files. */
        apiKeyEnv: z.string().optional(),
      })
      .optional(),
    /** Percent of this name's requests that another model of this configuration answers. */
    canary: z.strictObject({ model: z.string(), percent: z.number().min(0).max(100) }).optional(),
    /** Unload after this long without a request; 0 keeps it for ever. */
    idleSeconds: z.number().min(0).default(0),
    /** Requests given to the engine at once; the rest wait in the fair queue. */
    maxRunning: z.number().int().positive().default(256),
    price: price.optional(),
    /** Used when a request says nothing. */
    thinking: z.enum(["on", "off"]).optional(),
    maxTokens: z.number().int().positive().optional(),
    preload: z.boolean().default(false),
    engine: engine.optional(),
    /** Low-rank adapters of a local model (PEFT directories) by the names that clients ask for. */
    adapters: z.record(z.string(), z.string()).default({}),
  })
  .refine((value) => (value.path === undefined) !== (value.upstream === undefined), {
    message: "give either path (a local model) or upstream (another server)",
  });

const serverConfig = z.strictObject({
  host: z.string().default("127.0.0.1"),
  port: z.number().int().min(0).max(65535).default(8080),
  /** Where the database lies. Default: $WEIR_HOME or ~/.weir. */
  dataDir: z.string().optional(),
  models: z.record(z.string(), model).default({}),
  /** Further names for models. */
  aliases: z.record(z.string(), z.string()).default({}),
  /** Answers names that clients send by habit (gpt-…, o3, deepseek-…, claude-…) and that nothing else answers. */
  defaultModel: z.string().optional(),
  /** Most bytes of weights in memory at once; models not in use are unloaded, oldest first. Default: no limit. */
  memoryBytes: z.number().positive().optional(),
  keys: z.strictObject({ required: z.boolean().default(false) }).prefault({}),
  limits: z
    .strictObject({
      bodyBytes: z
        .number()
        .int()
        .positive()
        .default(8 * 1024 * 1024),
      uploadBytes: z
        .number()
        .int()
        .positive()
        .default(64 * 1024 * 1024),
      nesting: z.number().int().positive().default(64),
      /** Most time for a request's headers and body to arrive. */
      receiveSeconds: z.number().positive().default(30),
      /** Most time for an answer, queue included. */
      requestSeconds: z.number().positive().default(600),
      /** Waiting requests per model; more are told to come back. */
      queueLength: z.number().int().min(0).default(512),
      /** A caller's waiting requests per model. */
      queuePerCaller: z.number().int().positive().default(512),
      /** When the process itself is so far behind, new requests are told to come back before their bodies are read. */
      lagSeconds: z.number().positive().default(10),
      keepAliveSeconds: z.number().positive().default(10),
      drainSeconds: z.number().min(0).default(30),
      responseDays: z.number().positive().default(30),
      batchParallel: z.number().int().positive().default(8),
    })
    .prefault({}),
  /** Origins whose pages may call the API ("*" for any). Default: none but the server's own page. */
  cors: z.array(z.string()).default([]),
  /** Estimates per answer, returned in usage. */
  energy: z
    .strictObject({
      joulesPerPromptToken: z.number().min(0).default(0),
      joulesPerOutputToken: z.number().min(0),
    })
    .optional(),
  /** An OpenTelemetry collector (OTLP over HTTP, "http://127.0.0.1:4318") that is told of every answer. Default: none. */
  telemetry: z
    .strictObject({
      endpoint: z.url({ protocol: /^https?$/ }),
      headers: z.record(z.string(), z.string()).default({}),
      serviceName: z.string().default("weir"),
      everySeconds: z.number().positive().default(5),
    })
    .optional(),
  log: z.strictObject({ level: z.enum(["silent", "error", "info"]).default("info") }).prefault({}),
});

export type ServerConfig = z.output<typeof serverConfig>;
export type ModelConfig = ServerConfig["models"][string];

export class ConfigError extends Error {}

/** Checks a configuration object; the error names every field at fault. */
export function parseConfig(value: unknown, source = "the configuration"): ServerConfig {
  const parsed = serverConfig.safeParse(value);
  if (!parsed.success) throw new ConfigError(`${source}: ${z.prettifyError(parsed.error)}`);
  const config = parsed.data;
  const adapters = Object.entries(config.models).flatMap(([base, entry]) =>
    Object.keys(entry.adapters).map((name) => ({ base, name, local: entry.path !== undefined })),
  );
  const names = new Set([...Object.keys(config.models), ...Object.keys(config.aliases)]);
  for (const { base, name, local } of adapters) {
    if (!local) throw new ConfigError(`${source}: models.${base}.adapters needs a local model`);
    if (names.has(name)) throw new ConfigError(`${source}: the adapter's name '${name}' is in use`);
    names.add(name);
  }
  const target = (name: string, where: string) => {
    if (!Object.hasOwn(config.models, name) && !adapters.some((each) => each.name === name))
      throw new ConfigError(`${source}: ${where} names the model '${name}', which models does not define`);
  };
  for (const [alias, name] of Object.entries(config.aliases)) {
    if (Object.hasOwn(config.models, alias))
      throw new ConfigError(`${source}: '${alias}' is both a model and an alias`);
    target(name, `aliases.${alias}`);
  }
  for (const [name, entry] of Object.entries(config.models))
    if (entry.canary) target(entry.canary.model, `models.${name}.canary`);
  if (config.defaultModel !== undefined) target(config.defaultModel, "defaultModel");
  return config;
}

/** Reads weir.yaml; paths of models in it are relative to the file. */
export function readConfig(file: string): ServerConfig {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    throw new ConfigError(`cannot read ${file}: ${(error as Error).message}`);
  }
  let value: unknown;
  try {
    value = parse(text) ?? {};
  } catch (error) {
    throw new ConfigError(`${file} is not YAML: ${(error as Error).message}`);
  }
  const config = parseConfig(value, file);
  const beside = (path: string): string => (isAbsolute(path) ? path : resolve(file, "..", path));
  for (const entry of Object.values(config.models)) {
    if (entry.path !== undefined) entry.path = beside(entry.path);
    for (const [name, path] of Object.entries(entry.adapters)) entry.adapters[name] = beside(path);
  }
  return config;
}

export function dataDirectory(config?: Pick<ServerConfig, "dataDir">): string {
  return config?.dataDir ?? process.env.WEIR_HOME ?? join(homedir(), ".weir");
}
