// `weir bench`: how fast a model reads and writes on this machine.
import { parseArgs } from "node:util";
import { openCheckpoint } from "../../checkpoint/model-directory.ts";
import { LocalEngine } from "../../engine/local-engine.ts";
import { ServedModel } from "../../engine/model.ts";
import { defaultThreads, weightFiles } from "../../engine/open.ts";
import type { EngineEvent, GenerateRequest } from "../../engine/types.ts";
import { openDevice } from "../../tensor/devices.ts";
import { type Command, UsageError } from "../command.ts";
import { MODEL_FLAGS, openOptions } from "../model-options.ts";

const whole = (name: string, text: string): number => {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 0) throw new UsageError(`--${name} must be a whole number, not '${text}'`);
  return value;
};

/** Distinct prompts, so that no prefix cache helps. */
const prompt = (length: number, stream: number, vocab: number): number[] =>
  Array.from({ length }, (_, i) => (((i + 1) * 2654435761 + stream * 40503) >>> 3) % vocab);

const command: Command = {
  summary: "measure a model's speed and memory here / 实测速度与内存",
  usage: `Usage: weir bench MODEL [--prompt 512] [--generate 64] [--context N] [--streams K] [--threads T] [--device D]
                        [--weights T] [--cache T] [--rounds 3] [--json]

Prefill and decode in tokens per second (medians over rounds), time to first token, peak memory. Threads as for answering: one where
the model is so small that a second would cost more than it computes.`,
  async run(args) {
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: {
        ...MODEL_FLAGS,
        prompt: { type: "string", default: "512" },
        generate: { type: "string", default: "64" },
        streams: { type: "string", default: "1" },
        rounds: { type: "string", default: "3" },
        json: { type: "boolean" },
      },
    });
    if (positionals.length !== 1) throw new UsageError("give one MODEL");
    const [length, generate, streams, rounds] = (["prompt", "generate", "streams", "rounds"] as const).map((name) =>
      whole(name, values[name]),
    );
    if (length < 1 || generate < 2 || streams < 1 || rounds < 1)
      throw new UsageError("--prompt, --streams and --rounds must be at least 1, --generate at least 2");
    const options = openOptions(values);
    const context = options.context ?? length + generate + 16;
    const started = performance.now();
    const { open, release } = await weightFiles();
    const checkpoint = openCheckpoint(positionals[0], open);
    const device = await openDevice({ ...options, threads: options.threads ?? defaultThreads(checkpoint) });
    const sizes = {
      ...options,
      context,
      cacheTokens: (context + 32) * streams,
      maxSequences: Math.max(streams, 2),
      maxRows: Math.max(512, streams),
    };
    const served = new ServedModel(device, checkpoint.config, { checkpoint, release }, sizes);
    const engine = new LocalEngine(served, { name: positionals[0] });
    const loadMs = performance.now() - started;
    const vocab = checkpoint.config.vocabSize;
    const times: { prefill: number; decode: number; first: number }[] = [];
    for (let round = 0; round <= rounds; round++) {
      const requests = Array.from(
        { length: streams },
        (_, s): GenerateRequest => ({
          prompt: prompt(length, round * 1000 + s, vocab),
          maxTokens: generate,
          ignoreEos: true,
          sampling: { temperature: 0 },
        }),
      );
      const begin = performance.now();
      const events = engine.generateAll(requests);
      const total = performance.now() - begin;
      const usages = events.flatMap((list: EngineEvent[]) =>
        list.flatMap((event) => (event.type === "usage" ? [event.usage] : [])),
      );
      const decodeMs = Math.max(...usages.map((usage) => usage.decodeMs));
      const prefillMs = total - decodeMs;
      // The first round warms up.
      if (round > 0) {
        times.push({
          prefill: (streams * length * 1000) / prefillMs,
          decode: (streams * (generate - 1) * 1000) / decodeMs,
          first: prefillMs,
        });
      }
    }
    const median = (of: (time: (typeof times)[0]) => number): number =>
      times.map(of).sort((a, b) => a - b)[Math.floor(times.length / 2)];
    const result = {
      model: positionals[0],
      device: device.description,
      prompt: length,
      generate,
      streams,
      load_ms: Math.round(loadMs),
      prefill_tps: median(({ prefill }) => prefill),
      decode_tps: median(({ decode }) => decode),
      first_token_ms: median(({ first }) => first),
      peak_rss_mb: process.resourceUsage().maxRSS / 1024,
    };
    if (values.json) console.log(JSON.stringify(result));
    else {
      console.log(`${result.model} on ${result.device}`);
      console.log(`  prefill      ${result.prefill_tps.toFixed(0)} tokens/s  (${streams} × ${length})`);
      console.log(`  decode       ${result.decode_tps.toFixed(1)} tokens/s  (${streams} × ${generate})`);
      console.log(`  first token  ${result.first_token_ms.toFixed(1)} ms after ${result.load_ms} ms of loading`);
      console.log(`  peak memory  ${result.peak_rss_mb.toFixed(0)} MB`);
    }
    await engine.close();
    device.close();
    return 0;
  },
};
export default command;
