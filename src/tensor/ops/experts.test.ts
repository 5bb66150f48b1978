// Routing, dispatch, hyper-connections, log-probabilities, optimiser steps and sampling on every device, with gradients.
import assert from "node:assert/strict";
import { test } from "node:test";
import { type Dim, dim, Program, ProgramError, type Tensor } from "../program.ts";
import { ReferenceDevice } from "../reference.ts";
import { checkGradients, checkOp, integers, uniform as noise } from "../testing.ts";
import { affineSigmoid, hyperGates } from "./hyper.ts";
import { logprob } from "./loss.ts";
import { adamw, clipScale, lerp, muonApply, muonMomentum, sumSquares } from "./optimizer.ts";
import {
  balanceLoss,
  combine,
  dispatch,
  expertLoad,
  gatherTokens,
  hashRoutes,
  type RouterOptions,
  router,
} from "./router.ts";
import { sample, uniform } from "./sample.ts";

const wanted = (program: Program, name: string, shape: Tensor["shape"]): Tensor => {
  const tensor = program.input(name, "f32", shape);
  tensor.requiresGrad = true;
  return tensor;
};

const routers: [string, number, RouterOptions][] = [
  ["V2-Lite", 8, { topK: 3, scoring: "softmax", normalise: false, scale: 1 }],
  ["V2", 12, { topK: 3, scoring: "softmax", normalise: false, scale: 16, groups: 4, topGroups: 2, groupScore: "max" }],
  ["V3", 16, { topK: 4, scoring: "sigmoid", normalise: true, scale: 2.5, groups: 4, topGroups: 2, groupScore: "top2" }],
  ["V4", 7, { topK: 3, scoring: "sqrtsoftplus", normalise: true, scale: 1.5 }],
  ["one of one", 1, { topK: 1, scoring: "sigmoid", normalise: true, scale: 1 }],
];

for (const [name, experts, options] of routers) {
  test(`router ${name}`, async () => {
    for (const rows of [1, 5, 67]) {
      const build = (program: Program): { weights: Tensor; scores: Tensor; ids: Tensor } => {
        const t = program.register("T", rows);
        const bias = options.scoring === "softmax" ? null : program.input("bias", "f32", [experts]);
        return router(wanted(program, "logits", [dim(t), experts]), bias, options);
      };
      const inputs = {
        logits: noise(1, rows * experts, 3),
        ...(options.scoring !== "softmax" && { bias: noise(2, experts, 0.2) }),
      };
      await checkOp({
        build: (program) => Object.entries(build(program)).map(([key, tensor]) => program.output(tensor, key)),
        registers: { T: rows },
        inputs,
      });
      const both = (program: Program): Tensor[] => {
        const { weights, scores } = build(program);
        return [weights, scores];
      };
      if (rows < 10) await checkGradients({ build: both, registers: { T: rows }, inputs });
    }
  });
}

test("the correction bias chooses but does not weigh", () => {
  const device = new ReferenceDevice("f64");
  const program = new Program("bias");
  const logits = program.input("logits", "f32", [1, 4]);
  const bias = program.input("bias", "f32", [4]);
  const { ids, weights } = router(logits, bias, { topK: 1, scoring: "sigmoid", normalise: false, scale: 1 });
  program.output(ids, "ids");
  program.output(weights, "weights");
  const run = device.compile(program);
  run.buffer("logits").view().set([2, 1, 0, -1]);
  run.buffer("bias").view().set([0, 0, 0, 5]);
  run.run();
  assert.equal(run.buffer("ids").view()[0], 3);
  assert.ok(Math.abs(run.buffer("weights").view()[0] - 1 / (1 + Math.exp(1))) < 1e-9);
});

test("a router that cannot choose is refused when built", () => {
  const program = new Program("refused");
  const logits = program.input("logits", "f32", [2, 8]);
  const base = { scoring: "sigmoid", normalise: true, scale: 1 } as const;
  assert.throws(() => router(logits, null, { ...base, topK: 9 }), ProgramError);
  assert.throws(() => router(logits, null, { ...base, topK: 5, groups: 4, topGroups: 2 }), /hold fewer than topK/);
  assert.throws(() => router(logits, null, { ...base, topK: 2, groups: 3, topGroups: 1 }), /groups/);
});

test("dispatch sorts by expert, combine brings back", async () => {
  for (const [rows, topK, experts, width] of [
    [1, 1, 1, 1],
    [5, 2, 4, 7],
    [33, 3, 12, 16],
    [4, 2, 64, 5],
  ]) {
    const ids = Int32Array.from(
      { length: rows * topK },
      (_, i) => (integers(1, rows, experts)[Math.floor(i / topK)] + (i % topK)) % experts,
    );
    const inputs = { ids, x: noise(2, rows * width), w: noise(3, rows * topK) };
    const build = (program: Program): Tensor => {
      const t = program.register("T", rows);
      const sorted = dispatch(program.input("ids", "i32", [dim(t), topK], { min: 0, max: experts }), experts);
      const gathered = gatherTokens(wanted(program, "x", [dim(t), width]), sorted);
      expertLoad(sorted, program.state("load", "i32", [experts]));
      return combine(gathered, sorted, wanted(program, "w", [dim(t), topK]));
    };
    await checkOp({ build: (program) => program.output(build(program), "y"), registers: { T: rows }, inputs, runs: 2 });
    await checkGradients({ build, registers: { T: rows }, inputs });
  }
});

test("balance_loss is 1 · alpha when experts are used evenly, and its gradient holds", async () => {
  const [rows, experts, topK] = [6, 4, 2];
  const starts = Int32Array.from([0, 0, 0, 0, 4, 4]);
  const inputs = {
    scores: noise(1, rows * experts).map((v) => Math.abs(v) + 0.1),
    ids: integers(2, rows * topK, experts),
    starts,
  };
  const build = (program: Program): Tensor => {
    const t = program.register("T", rows);
    const ids = program.input("ids", "i32", [dim(t), topK], { min: 0, max: experts });
    return balanceLoss(
      wanted(program, "scores", [dim(t), experts]),
      ids,
      program.input("starts", "i32", [dim(t)]),
      0.5,
    );
  };
  await checkOp({ build: (program) => program.output(build(program), "loss"), registers: { T: rows }, inputs });
  await checkGradients({ build, registers: { T: rows }, inputs });
  const even = new ReferenceDevice("f64");
  const program = new Program("even");
  const [scores, ids] = [program.input("scores", "f32", [2, 2]), program.input("ids", "i32", [2, 1])];
  program.output(balanceLoss(scores, ids, program.input("starts", "i32", [2]), 0.5), "loss");
  const run = even.compile(program);
  run.buffer("scores").view().fill(0.5);
  run.buffer("ids").view().set([0, 1]);
  run.run();
  assert.equal(run.buffer("loss").view()[0], 0.5);
});

test("hash_routes looks experts up by token", async () => {
  await checkOp({
    build: (program) => {
      const table = program.input("table", "i32", [5, 2]);
      program.output(hashRoutes(table, program.input("ids", "i32", [3], { min: 0, max: 5 })), "routes");
    },
    inputs: { table: integers(1, 10, 9), ids: [4, 0, 4] },
  });
});

test("hyper-connection gates", async () => {
  for (const [rows, streams, iterations] of [
    [1, 4, 20],
    [5, 2, 3],
    [3, 4, 1],
  ]) {
    const width = 2 * streams + streams * streams;
    const inputs = { mix: noise(1, rows * width, 2), scale: [0.7, 1.1, 0.9], base: noise(2, width) };
    const build = (program: Program): Tensor[] => {
      const t = program.register("T", rows);
      const [scale, base] = [program.param("scale", "f32", [3]), program.param("base", "f32", [width])];
      const { pre, post, comb } = hyperGates(wanted(program, "mix", [dim(t), width]), scale, base, {
        streams,
        iterations,
        eps: 1e-6,
      });
      return [pre, post, comb];
    };
    const outputs = (program: Program): Tensor[] => build(program).map((tensor, i) => program.output(tensor, `y${i}`));
    await checkOp({ build: outputs, registers: { T: rows }, inputs });
    await checkGradients({ build, registers: { T: rows }, inputs, tolerance: 1e-4 });
  }
  const build = (program: Program): Tensor =>
    affineSigmoid(
      wanted(program, "x", [3, 4]),
      program.param("scale", "f32", [1]),
      program.param("base", "f32", [4]),
      1e-6,
    );
  await checkGradients({ build, inputs: { x: noise(1, 12, 2), scale: [0.8], base: noise(2, 4) } });
});

test("logprob equals the softmax's, in chunks, and its gradient holds", async () => {
  for (const [rows, width, vocab, logitScale] of [
    [1, 1, 2, 1],
    [3, 5, 7, 1],
    [19, 8, 33, 0.7],
    [300, 6, 40, 1],
  ]) {
    const inputs = { x: noise(1, rows * width, 2), w: noise(2, vocab * width, 2), targets: integers(3, rows, vocab) };
    const build = (program: Program): { logp: Tensor; lse: Tensor; entropy: Tensor } => {
      const t = program.register("T", rows);
      const targets = program.input("targets", "i32", [dim(t)], { min: 0, max: vocab });
      return logprob(
        wanted(program, "x", [dim(t), width]),
        program.param("w", "f32", [vocab, width]),
        targets,
        logitScale,
      );
    };
    await checkOp({
      build: (program) => Object.entries(build(program)).map(([key, tensor]) => program.output(tensor, key)),
      registers: { T: rows },
      inputs,
    });
    if (rows < 20) await checkGradients({ build: (program) => build(program).logp, registers: { T: rows }, inputs });
  }
});

test("logprob restricted to the tokens kept by a truncation", async () => {
  const [rows, width, vocab, most] = [19, 8, 33, 4];
  const targets = integers(3, rows, vocab);
  // Row r keeps its target and r % 4 more tokens; every fifth row is not restricted.
  const kept = Array.from({ length: rows }, (_, r) => {
    const ids = [targets[r], ...[1, 2, 3].map((k) => (targets[r] + 5 * k) % vocab)].slice(0, 1 + (r % 4));
    return r % 5 === 0 ? [-1, -1, -1, -1] : [...ids, ...Array(most - ids.length).fill(-1)];
  }).flat();
  const build = (program: Program): { logp: Tensor; lse: Tensor; entropy: Tensor } => {
    const t = program.register("T", rows);
    const index = (name: string, shape: Dim[], min: number): Tensor =>
      program.input(name, "i32", shape, { min, max: vocab });
    const x = wanted(program, "x", [dim(t), width]);
    const w = program.param("w", "f32", [vocab, width]);
    return logprob(x, w, index("targets", [dim(t)], 0), 0.7, index("kept", [dim(t), most], -1));
  };
  const inputs = { x: noise(1, rows * width, 2), w: noise(2, vocab * width, 2), targets, kept };
  await checkOp({
    build: (program) => Object.entries(build(program)).map(([key, tensor]) => program.output(tensor, key)),
    registers: { T: rows },
    inputs,
  });
  await checkGradients({ build: (program) => build(program).logp, registers: { T: rows }, inputs });
});

test("optimiser steps", async () => {
  const n = 37;
  await checkOp({
    build: (program) => {
      const [p, grad, m, v, average] = ["p", "grad", "m", "v", "average"].map((name) =>
        program.state(name, "f32", [n]),
      );
      const total = program.state("total", "f32", [1]);
      sumSquares([grad], total);
      const scale = clipScale(total, program.input("before", "f32", [1]), 0.5);
      adamw(p, grad, m, v, program.input("rates", "f32", [3]), scale, {
        beta1: 0.9,
        beta2: 0.95,
        eps: 1e-8,
        weightDecay: 0.1,
      });
      lerp(average, p, 0.25);
    },
    inputs: {
      p: noise(1, n),
      grad: noise(2, n),
      m: noise(3, n),
      v: noise(4, n).map(Math.abs),
      before: [0.5],
      rates: [0.01, 0.1, 0.05],
    },
    runs: 2,
  });
  await checkOp({
    build: (program) => {
      const [p, buffer, grad] = ["p", "buffer", "grad"].map((name) => program.state(name, "f32", [3, 5, 7]));
      const total = program.state("total", "f32", [1]);
      sumSquares([grad], total);
      const scale = clipScale(total, program.input("before", "f32", [1]), 0);
      const update = program.temp("f32", [3, 5, 7]);
      muonMomentum(buffer, grad, scale, 0.95, update);
      muonApply(p, update, program.input("rates", "f32", [3]), { factor: 0.18, weightDecay: 0.1 });
    },
    inputs: { p: noise(1, 105), buffer: noise(2, 105), grad: noise(3, 105), before: [1], rates: [0.01, 1, 1] },
  });
});

const sampled =
  (rows: number, vocab: number, alternatives: number, masked: boolean) =>
  (program: Program): void => {
    const t = program.register("T", rows);
    const mask = masked ? program.input("mask", "i32", [dim(t), Math.ceil(vocab / 32)]) : null;
    const [logits, parameters] = [
      program.input("logits", "f32", [dim(t), vocab]),
      program.input("parameters", "f32", [dim(t), 4]),
    ];
    const result = sample(logits, parameters, program.input("counters", "i32", [dim(t), 2]), mask, alternatives);
    for (const [key, tensor] of Object.entries(result)) program.output(tensor, key);
  };

test("sampling agrees on every device", async () => {
  const settings = [
    [0, 0, 1, 0],
    [1, 0, 1, 0],
    [0.7, 5, 1, 0],
    [1.3, 0, 0.8, 0],
    [1, 0, 1, 0.3],
    [1, 3, 0.5, 0.1],
  ];
  for (const [vocab, masked] of [
    [7, false],
    [100, true],
    [33, false],
  ] as const) {
    const rows = settings.length * 3;
    const parameters = Float32Array.from(
      { length: rows * 4 },
      (_, i) => settings[Math.floor(i / 4) % settings.length][i % 4],
    );
    const inputs = {
      logits: noise(1, rows * vocab, 4),
      parameters,
      counters: integers(2, rows * 2, 1000),
      ...(masked && { mask: integers(3, rows * Math.ceil(vocab / 32), 2 ** 31) }),
    };
    await checkOp({ build: sampled(rows, vocab, 4, masked), registers: { T: rows }, inputs, finite: false });
  }
});

test("sampled frequencies follow the distribution", () => {
  const [rows, vocab] = [20_000, 5];
  const device = new ReferenceDevice("f64");
  const program = new Program("frequencies");
  sampled(rows, vocab, 0, false)(program);
  const run = device.compile(program);
  const logits = [1, 0, -1, 0.5, -3];
  for (let row = 0; row < rows; row++) {
    run
      .buffer("logits")
      .view()
      .set(logits, row * vocab);
    run
      .buffer("parameters")
      .view()
      .set([0.8, 0, 1, 0], row * 4);
    run
      .buffer("counters")
      .view()
      .set([12345, row], row * 2);
  }
  run.run({ T: rows });
  const counts = new Array(vocab).fill(0);
  for (const id of run.buffer("ids").view()) counts[id]++;
  const weights = logits.map((z) => Math.exp(z / 0.8));
  const total = weights.reduce((a, b) => a + b);
  // Chi-square with 4 degrees of freedom: 23.5 is the 1 − 1e-4 quantile; the draw is fixed, so this never flickers.
  const chi = counts.reduce(
    (sum, count, i) => sum + (count - (rows * weights[i]) / total) ** 2 / ((rows * weights[i]) / total),
    0,
  );
  assert.ok(chi < 23.5, `chi-square ${chi} for ${counts}`);
  assert.notEqual(uniform(1, 2), uniform(1, 3));
});
