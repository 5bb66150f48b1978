// A whole training job from its settings: model, tokenizer, data, trainer and loop put together. What is shown of it is the command's
// business.
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { writeTextAtomically } from "../checkpoint/atomic.ts";
import type { TokenizerSource } from "../checkpoint/checkpoint.ts";
import { type ModelConfig, parseConfig, parseConfigText } from "../checkpoint/config.ts";
import { openCheckpoint } from "../checkpoint/model-directory.ts";
import { LocalEngine } from "../engine/local-engine.ts";
import { ServedModel } from "../engine/model.ts";
import { languageOf } from "../engine/open.ts";
import type { DeviceBuffer } from "../tensor/device.ts";
import { openDevice } from "../tensor/devices.ts";
import { probeMachine } from "../tensor/native.ts";
import type { ChatFormat } from "../text/chat/format.ts";
import { chatFormatNamed } from "../text/chat/select.ts";
import { loadTokenizer } from "../text/load.ts";
import type { Tokenizer } from "../text/tokenizer.ts";
import { exportAdapter, importAdapter } from "./adapter.ts";
import { type Document, packBatch } from "./batch.ts";
import { Checkpoints } from "./checkpoints.ts";
import { type Settings, SettingsError } from "./config.ts";
import { documentsOf, promptOf, textIds } from "./documents.ts";
import { Ema } from "./ema.ts";
import { exportModel } from "./export.ts";
import { trainingFlops } from "./flops.ts";
import { Grpo, type GrpoStats } from "./grpo.ts";
import { Lora } from "./lora.ts";
import { joined } from "./packing.ts";
import { OBJECTIVES, type PolicyObjective } from "./policy-loss.ts";
import { type Completion, exactReward, formatReward, languageReward, type Reward } from "./rewards.ts";
import { type Rows, readRows, type TaskRow } from "./rows.ts";
import { runGrpo, runSupervised, type SupervisedStep } from "./run.ts";
import { DocumentStream, shuffled } from "./stream.ts";
import { Trainer } from "./trainer.ts";

export interface Job {
  trainer: Trainer;
  tokenizer: Tokenizer;
  files: Rows[];
  checkpoints: Checkpoints;
  /** Bytes held, by purpose. */
  memory: Record<string, number>;
  /** Seconds per pass over `batch_tokens`, measured before the first step. */
  secondsPerPass: number;
  /** Floating-point operations per trained token, at documents of full length; per second at most as measured here and now, or NaN. */
  flopsPerToken: number;
  peak: number;
  /** What the model says now to the prompts of `samples`. */
  sample(): { prompt: string; text: string }[];
  run(report: (step: SupervisedStep | (GrpoStats & { lr: number })) => void): Promise<void>;
}

interface Opened {
  config: ModelConfig;
  tokenizer: Tokenizer;
  chat: ChatFormat | undefined;
  tokenizerSource: TokenizerSource;
  from: { source: ReturnType<typeof openCheckpoint> } | { seed: number };
}

function openBase(settings: Settings): Opened {
  const { model, architecture, tokenizer: path, chat_format: named } = settings;
  const besides = (directory: string): TokenizerSource => {
    const configPath = join(directory, "tokenizer_config.json");
    return {
      kind: "tokenizer.json",
      path: join(directory, "tokenizer.json"),
      configPath: existsSync(configPath) ? configPath : null,
    };
  };
  if (model !== undefined) {
    const checkpoint = openCheckpoint(model);
    const own = path === undefined ? languageOf(checkpoint) : undefined;
    return {
      config: checkpoint.config,
      tokenizer: own?.tokenizer ?? loadTokenizer(path!),
      chat: named ? chatFormatNamed(named) : own?.chat,
      tokenizerSource: path === undefined ? checkpoint.tokenizer : besides(path),
      from: { source: checkpoint },
    };
  }
  const config =
    typeof architecture === "string" ? parseConfigText(readFileSync(architecture, "utf8")) : parseConfig(architecture!);
  const tokenizer = loadTokenizer(path!);
  const chat = named ? chatFormatNamed(named) : undefined;
  return { config, tokenizer, chat, tokenizerSource: besides(path!), from: { seed: settings.seed } };
}

/** Rewards by name, or from a module. Throws SettingsError. */
async function rewardsOf(settings: Settings): Promise<Reward<TaskRow>[]> {
  const own: Record<string, (task: TaskRow, completion: Completion) => number> = {
    exact: (task, { text }) => exactReward(task.answer, text),
    format: (_, completion) => formatReward(completion),
    language: ({ conversation, fields }, { text }) => {
      const asked = fields.language ?? (/\p{Script=Han}/u.test(conversation.messages.at(-1)!.content) ? "zh" : "en");
      return languageReward(asked === "zh" ? "zh" : "en", text);
    },
  };
  return Promise.all(
    settings.grpo.rewards.map(async ({ name, weight, module }) => {
      if (module === undefined) {
        if (!Object.hasOwn(own, name))
          throw new SettingsError(
            `there is no reward ${name}; there are ${Object.keys(own).join(", ")}, or give a module`,
          );
        return { name, weight, of: own[name] };
      }
      const loaded = (await import(pathToFileURL(resolve(module)).href)) as { default?: unknown };
      if (typeof loaded.default !== "function")
        throw new SettingsError(`${module} has no function as its default export`);
      const call = loaded.default as (row: unknown, completion: Completion) => number;
      return { name, weight, of: (task, completion) => call(task.fields, completion) };
    }),
  );
}

/** Opens everything and measures one pass. Throws SettingsError, CheckpointError or what the files are at fault for. */
export async function prepareJob(settings: Settings): Promise<Job> {
  const { method, batch_tokens: maxTokens, seed } = settings;
  const base = openBase(settings);
  const { config, tokenizer, chat } = base;
  if (tokenizer.vocabSize > config.vocabSize)
    throw new SettingsError(`the tokenizer has ${tokenizer.vocabSize} tokens, the model room for ${config.vocabSize}`);
  const longest = settings.context ?? Math.min(config.maxPositionEmbeddings, maxTokens);
  if (longest > maxTokens) throw new SettingsError(`context is ${longest}, more than batch_tokens (${maxTokens})`);
  const files = settings.data.map(({ path }) => readRows(path));
  const device = await openDevice({ device: settings.device, threads: settings.threads });
  const temperature = method === "grpo" ? settings.grpo.temperature : 1;
  const { optimizer: o } = settings;
  const optimizer = {
    kind: o.kind,
    lr: settings.lr,
    muonLr: o.muon_lr,
    beta1: o.beta1,
    beta2: o.beta2,
    eps: 1e-8,
    weightDecay: o.weight_decay,
    maxGradNorm: o.max_grad_norm,
  };
  const trainer = new Trainer(
    device,
    config,
    {
      maxTokens,
      maxPositions: longest,
      optimizer,
      frozen: settings.lora !== undefined,
      biasSpeed: settings.balance.bias_speed ?? (method === "grpo" || settings.lora ? 0 : 1e-3),
      balanceAlpha: settings.balance.alpha,
      mtpWeight: settings.mtp_weight,
      recompute: settings.recompute,
      logitScale: 1 / temperature,
      keptTokens: method === "grpo" ? settings.grpo.top_k : 0,
      givenRoutes: method === "grpo" && settings.grpo.keep_routing,
    },
    base.from,
  );
  mkdirSync(settings.out, { recursive: true });
  writeTextAtomically(join(settings.out, "settings.json"), `${JSON.stringify(settings, null, 2)}\n`);
  const exporting = { tokenizer: base.tokenizerSource, chatTemplate: chat?.jinja };
  const checkpoints = new Checkpoints(settings.out, settings.keep, exporting);
  const { schedule: s, lora: l } = settings;
  const lora = l && new Lora(trainer, { rank: l.rank, alpha: l.alpha, seed, optimizer });
  if (lora && l.from !== undefined) importAdapter(l.from, lora);
  if (lora && !l.merge) checkpoints.write = (path) => exportAdapter(path, lora, resolve(settings.model!));
  const options = {
    steps: settings.steps,
    lr: settings.lr,
    schedule: { kind: s.kind, warmupSteps: s.warmup_steps, decayShare: s.decay_share, floor: s.floor },
    saveEvery: settings.save_every,
  };
  const documents = settings.document_masks ? undefined : (pack: Document[]) => joined(pack, longest);
  const ema = settings.ema === undefined ? undefined : new Ema(trainer, settings.ema);
  if (ema) {
    const { write } = checkpoints;
    checkpoints.write = (path, of) => {
      write(path, of);
      exportModel(join(path, "ema"), config, ema.parameters, {
        ...exporting,
        leaveOut: trainer.built.context.constants,
      });
    };
  }
  const bytes = (states: Record<string, DeviceBuffer> = {}): number =>
    Object.values(states).reduce((sum, { shape }) => sum + 4 * shape.reduce((a, b) => a * b, 1), 0);
  const job = {
    trainer,
    tokenizer,
    files,
    checkpoints,
    memory: {
      ...trainer.memory,
      ...(lora && {
        adapter:
          2 * bytes(lora.states) +
          bytes(Object.fromEntries(lora.adapted.map((name) => [name, trainer.parameters[name]]))),
      }),
      ...(ema && { average: bytes(ema.states) }),
    },
    flopsPerToken: trainingFlops(trainer.built, longest),
    peak: device.name === "native" ? probeMachine(device.threads).peak : Number.NaN,
    sample: sampler(settings, trainer, tokenizer, chat, files),
  };
  if (method === "grpo") {
    if (!chat) throw new SettingsError("grpo needs a chat format: name one with chat_format");
    const grpo = await makeGrpo(settings, trainer, tokenizer, chat, files);
    return {
      ...job,
      secondsPerPass: measure(trainer, longest),
      run: (report) => runGrpo(grpo.grpo, grpo.prompt, checkpoints, options, report),
    };
  }
  const making = { tokenizer, chat, fimRate: settings.fim_rate, promptWeight: settings.prompt_weight, seed };
  const stream = new DocumentStream(
    files.map(({ rows }, i) => ({
      weight: settings.data[i].weight,
      count: rows.length,
      documents: (index, draw, most) => documentsOf(rows[index], draw, most, making),
    })),
    { seed, room: maxTokens, longest },
  );
  return {
    ...job,
    secondsPerPass: measure(trainer, longest),
    run: async (report) =>
      runSupervised(
        trainer,
        stream,
        checkpoints,
        { ...options, accumulation: settings.accumulation, lora, ema, documents },
        report,
      ),
  };
}

/** What answers or continues the prompts of the settings with the weights as they are; the engine is made when it is first asked. */
function sampler(
  settings: Settings,
  trainer: Trainer,
  tokenizer: Tokenizer,
  chat: ChatFormat | undefined,
  files: readonly Rows[],
): Job["sample"] {
  const { max_tokens: maxTokens, prompts: given } = settings.samples;
  const asking = settings.method === "pretrain" ? undefined : chat;
  const first = files
    .flatMap(({ rows }) => rows.slice(0, 2))
    .flatMap((row) =>
      row.kind === "text" ? [] : (row.conversation.messages.find(({ role }) => role === "user")?.content ?? []),
    );
  const prompts = given ?? (asking && first.length > 0 ? first.slice(0, 2) : [""]);
  const context = Math.max(...prompts.map((text) => tokenizer.encode(text).length)) + maxTokens + 64;
  let engine: LocalEngine | undefined;
  return () => {
    const served = {
      context: Math.min(context, trainer.config.maxPositionEmbeddings),
      cacheTokens: prompts.length * (context + 16),
    };
    engine ??= new LocalEngine(
      new ServedModel(trainer.device, trainer.config, { parameters: trainer.parameters }, served),
      { name: "samples", tokenizer },
    );
    engine.weightsChanged(trainer.parameters);
    const requests = prompts.map((text) => {
      const { ids, startsInThinking = false } = asking
        ? promptOf(tokenizer, asking, { messages: [{ role: "user", content: text }] })
        : { ids: textIds(tokenizer, text, false) };
      return {
        prompt: ids,
        maxTokens,
        sampling: { temperature: 0 },
        startsInThinking,
        stopTokens: tokenizer.special.eot,
      };
    });
    return engine.generateAll(requests).map((events, i) => ({
      prompt: prompts[i],
      text: events.map((event) => (event.type === "token" ? event.text : "")).join(""),
    }));
  };
}

/** Seconds of one full pass forward and backward; leaves no trace in the trainer. */
function measure(trainer: Trainer, longest: number): number {
  const { maxTokens } = trainer.options;
  const documents = Array.from({ length: Math.floor(maxTokens / longest) }, () => ({ ids: new Int32Array(longest) }));
  const batch = packBatch(documents);
  trainer.accumulate(batch, 0);
  const began = performance.now();
  trainer.accumulate(batch, 0);
  trainer.discard();
  return (performance.now() - began) / 1000;
}

async function makeGrpo(
  settings: Settings,
  trainer: Trainer,
  tokenizer: Tokenizer,
  chat: ChatFormat,
  files: readonly Rows[],
) {
  const g = settings.grpo;
  const tasks = files.flatMap(({ rows }) => rows.filter((row) => row.kind === "task"));
  if (tasks.length === 0) throw new SettingsError("grpo needs rows with a prompt and an answer; the files have none");
  const prompts = tasks.map((task) => ({ ...promptOf(tokenizer, chat, task.conversation), task }));
  const { maxPositions } = trainer.options;
  const usable = prompts.filter(({ ids }) => ids.length + g.max_tokens <= maxPositions);
  if (usable.length === 0)
    throw new SettingsError(`no prompt leaves room for max_tokens (${g.max_tokens}) in a context of ${maxPositions}`);
  const served = new ServedModel(
    trainer.device,
    trainer.config,
    { parameters: trainer.parameters },
    { context: maxPositions, cacheTokens: Math.min(64, g.prompts * g.samples) * (maxPositions + 16) },
  );
  const engine = new LocalEngine(served, { name: "policy", tokenizer });
  const base: PolicyObjective = OBJECTIVES[g.objective];
  const grpo = new Grpo<TaskRow>(trainer, engine, {
    objective: {
      ...base,
      clipLow: g.clip_low ?? base.clipLow,
      clipHigh: g.clip_high ?? base.clipHigh,
      beta: g.beta ?? base.beta,
    },
    rewards: await rewardsOf(settings),
    prompts: g.prompts,
    samples: g.samples,
    maxTokens: g.max_tokens,
    temperature: g.temperature,
    truncation: g.top_k > 0 ? { topK: g.top_k, topP: g.top_p } : undefined,
    seed: settings.seed,
    minibatches: g.minibatches,
    epochs: g.epochs,
    refreshReference: g.refresh_reference,
    resampleRounds: g.resample_rounds,
    overlong: g.overlong_buffer > 0 ? { buffer: g.overlong_buffer, weight: g.overlong_weight } : undefined,
    randomReward: g.random_reward,
    rewardTimeout: g.reward_timeout * 1000,
    startsInThinking: usable[0].startsInThinking,
    ends: tokenizer.special.eot,
  });
  const orders = new Map<number, Int32Array>();
  const prompt = (index: number) => {
    const epoch = Math.floor(index / usable.length);
    const order = orders.get(epoch) ?? shuffled(usable.length, settings.seed, 17, epoch);
    orders.set(epoch, order);
    const { ids, task } = usable[order[index % usable.length]];
    return { ids, task };
  };
  return { grpo, prompt };
}
