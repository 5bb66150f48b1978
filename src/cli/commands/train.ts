// `weir train`: one training job from a settings file, with a plan before it and a progress bar over it.
import { appendFileSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { parse } from "yaml";
import { describeSettings, parseSettings, readSettings, SettingsError } from "../../train/config.ts";
import { prepareJob } from "../../train/job.ts";
import { type Command, UsageError } from "../command.ts";
import { formatBytes, formatSeconds, Progress } from "../progress.ts";

/** What a model says must not steer the terminal. */
const printable = (text: string): string => text.replace(/\p{C}/gu, " ").trim();

const METHODS = ["pretrain", "sft", "grpo"];

/** Sets `a.b=value` in nested settings; the value is read as YAML. */
function assign(settings: Record<string, unknown>, assignment: string): void {
  const at = assignment.indexOf("=");
  if (at < 1) throw new UsageError(`--set takes NAME=VALUE, not '${assignment}'`);
  const path = assignment.slice(0, at).split(".");
  let of = settings;
  for (const part of path.slice(0, -1)) of = (of[part] ??= {}) as Record<string, unknown>;
  of[path[path.length - 1]] = parse(assignment.slice(at + 1));
}

const command: Command = {
  summary: "train a model: pretraining, supervised fine-tuning, GRPO / 训练：预训练、监督微调、GRPO",
  usage: `Usage: weir train CONFIG.yaml [--set NAME=VALUE …]
       weir train pretrain|sft|grpo [--config CONFIG.yaml] --set NAME=VALUE …

Trains as the settings say, from the latest checkpoint in their directory \`out\` where there is one. Writes
OUT/checkpoint-STEP (a model directory with the training state inside; with lora a PEFT adapter), OUT/metrics.jsonl and
OUT/samples.jsonl.

The settings, with defaults in brackets:
${describeSettings()}`,
  async run(args) {
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: { config: { type: "string" }, set: { type: "string", multiple: true } },
    });
    const [first] = positionals;
    const method = METHODS.includes(first) ? first : undefined;
    const path = method === undefined ? first : values.config;
    if (method === undefined && path === undefined) throw new UsageError("give CONFIG.yaml, or pretrain, sft or grpo");
    const given = path === undefined ? {} : parseSettings(readFileSync(path, "utf8"));
    if (method !== undefined) given.method = method;
    for (const assignment of values.set ?? []) assign(given, assignment);
    try {
      return await train(given);
    } catch (error) {
      if (error instanceof SettingsError) throw new UsageError(error.message);
      throw error;
    }
  },
};
export default command;

async function train(given: Record<string, unknown>): Promise<number> {
  const settings = readSettings(given);
  const job = await prepareJob(settings);
  const passes = settings.steps * settings.accumulation;
  for (const { path, rows, broken } of job.files)
    console.error(
      `${path}: ${rows.length} rows${broken.length > 0 ? `, ${broken.length} broken (weir data check shows them)` : ""}`,
    );
  const { parameters, gradients, optimizer, activations, ...others } = job.memory;
  const held = { weights: parameters, gradients, optimiser: optimizer, activations, ...others };
  console.error(
    `memory: ${formatBytes(Object.values(held).reduce((a, b) => a + b, 0))} = ${Object.entries(held)
      .map(([name, bytes]) => `${name} ${formatBytes(bytes)}`)
      .join(", ")}`,
  );
  console.error(
    settings.method === "grpo"
      ? `time: ${formatSeconds(job.secondsPerPass)} per pass over ${settings.batch_tokens} tokens; rollouts depend on their length`
      : `time: about ${formatSeconds(passes * job.secondsPerPass)} for ${settings.steps} steps`,
  );
  const done = job.checkpoints.steps().at(-1) ?? 0;
  const progress = new Progress(settings.method, { total: settings.steps, unit: "steps", start: done });
  const peakShare = (rate: number): string => `${Math.round((100 * rate * job.flopsPerToken) / job.peak)} %`;
  const metrics = join(settings.out, "metrics.jsonl");
  await job.run((result) => {
    const { seconds, tokens, loss, step } = result;
    const took = typeof seconds === "number" ? seconds : seconds.rollout + seconds.reward + seconds.update;
    const { load, ...line } = { load: undefined, ...result };
    appendFileSync(
      metrics,
      `${JSON.stringify({ ...line, ...(load && { load: Object.fromEntries([...load].map(([l, n]) => [l, [...n]])) }) })}\n`,
    );
    const share = "reward" in result || Number.isNaN(job.peak) ? "" : `  ${peakShare(tokens / took)} of peak`;
    const shown = "reward" in result ? `reward ${result.reward.toFixed(3)}` : `loss ${loss.toFixed(4)}`;
    progress.update(step, `${shown}  ${Math.round(tokens / took)} tokens/s${share}`);
    const said = "alarms" in result ? result.alarms : result.failure ? [result.failure] : [];
    for (const text of said) console.error(`\nstep ${step}: ${text}`);
    const { every } = settings.samples;
    if (every > 0 && (step % every === 0 || step === settings.steps) && !("failure" in result))
      for (const { prompt, text } of job.sample()) {
        appendFileSync(join(settings.out, "samples.jsonl"), `${JSON.stringify({ step, prompt, text })}\n`);
        console.error(`\nstep ${step}: ${printable(prompt)} → ${printable(text)}`);
      }
  });
  progress.end();
  console.log(job.checkpoints.path(settings.steps));
  return 0;
}
