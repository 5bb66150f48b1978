// A small run as a process of its own, for resume.test.ts to kill: `node resume.fixture.ts pretrain|sft|grpo DIR`. It prints every step.
import { exportAdapter } from "./adapter.ts";
import { Checkpoints } from "./checkpoints.ts";
import { Ema } from "./ema.ts";
import { Lora } from "./lora.ts";
import { OBJECTIVES } from "./policy-loss.ts";
import { uniform } from "./rewards.ts";
import { runGrpo, runSupervised } from "./run.ts";
import { DocumentStream } from "./stream.ts";
import { copyPrompt, copyTask, tinyTrainer } from "./tiny.fixture.ts";

const [kind, directory] = process.argv.slice(2);
const trainer = tinyTrainer({
  biasSpeed: kind === "pretrain" ? 1e-2 : 0,
  frozen: kind === "sft",
  optimizer: { kind: "muon", lr: 4e-3, beta1: 0.9, beta2: 0.95, eps: 1e-8, weightDecay: 0.1, maxGradNorm: 1 },
});
const checkpoints = new Checkpoints(directory, 2);
const schedule = { kind: "wsd", warmupSteps: 3 } as const;
const say = ({ step }: { step: number }): void => console.log(`step ${step}`);
if (kind !== "grpo") {
  // Pretraining keeps an average; fine-tuning trains an adapter on the second half of every document.
  const ema = kind === "pretrain" ? new Ema(trainer, 0.9) : undefined;
  const { optimizer } = trainer.options;
  const lora = kind === "sft" ? new Lora(trainer, { rank: 4, alpha: 8, seed: 2, optimizer }) : undefined;
  if (lora) checkpoints.write = (path) => exportAdapter(path, lora, "base");
  const source = (salt: number) => ({
    weight: 1 + salt,
    count: 37,
    documents: (index: number) => {
      const length = 8 + (index % 30);
      const ids = Int32Array.from({ length }, (_, t) => Math.floor(uniform(salt, index, t) * 16));
      return [{ ids, weights: kind === "sft" ? ids.map((_, t) => (2 * t < length ? 0 : 1)) : undefined }];
    },
  });
  const stream = new DocumentStream([source(0), source(1)], { seed: 3, room: 256, longest: 64, window: 3 });
  runSupervised(
    trainer,
    stream,
    checkpoints,
    { steps: 60, lr: 4e-3, schedule, accumulation: 2, saveEvery: 4, ema, lora },
    say,
  );
} else {
  const grpo = copyTask(trainer, {
    objective: { ...OBJECTIVES["r1-zero"], beta: 0.02 },
    refreshReference: 5,
    minibatches: 2,
    resampleRounds: 1,
  });
  await runGrpo(grpo, copyPrompt, checkpoints, { steps: 24, lr: 3e-3, schedule, saveEvery: 3 }, say);
}
