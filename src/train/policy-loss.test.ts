// The policy objectives: derivatives against differences, each published variant against hand-worked numbers, and proof that the
// checks notice each of the known bugs: every bug is planted in the source's own text and the checks must fail on the result.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { stripTypeScriptTypes } from "node:module";
import { test } from "node:test";
import * as real from "./policy-loss.ts";

type Module = typeof real;
const near = (a: number, b: number, tolerance: number, what: string): void =>
  assert.ok(Math.abs(a - b) <= tolerance, `${what}: ${a}, expected ${b}`);

const base: real.PolicyObjective = {
  clipLow: 0.2,
  clipHigh: 0.28,
  beta: 0,
  unbiasedKl: false,
  divideByStd: false,
  average: "token",
};

/** One token with this ratio and advantage. */
const one = (ratio: number, advantage: number): real.PolicySequence => ({
  logp: [Math.log(0.3 * ratio)],
  oldLogp: [Math.log(0.3)],
  refLogp: [Math.log(0.3)],
  mask: [1],
  advantage,
});

const sequences = (): (real.PolicySequence & { logp: number[] })[] => [
  { logp: [-1, -0.5, -2], oldLogp: [-1.1, -0.9, -1.9], refLogp: [-1.3, -0.2, -2], mask: [1, 1, 1], advantage: 0.7 },
  { logp: [-0.3, -1.2], oldLogp: [-0.25, -1], refLogp: [-0.1, -1.5], mask: [1, 0], advantage: -1.1 },
  {
    logp: [-3, -2, -1, -0.7],
    oldLogp: [-1.5, -1.2, -1.1, -0.2],
    refLogp: [-2, -2, -2, -2],
    mask: [1, 1, 1, 1],
    advantage: -0.4,
  },
];

const checks: Record<string, (m: Module) => void> = {
  "clipped surrogate": ({ policyLoss }) => {
    // min: a ratio above the band earns no more for A > 0 but keeps costing for A < 0.
    near(policyLoss([one(2, 1)], base).loss, -1.28, 1e-12, "ratio 2, A 1");
    near(policyLoss([one(2, -1)], base).loss, 2, 1e-12, "ratio 2, A −1");
    near(policyLoss([one(0.5, -1)], base).loss, 0.8, 1e-12, "ratio 0.5, A −1");
    near(policyLoss([one(0.5, 1)], base).loss, -0.5, 1e-12, "ratio 0.5, A 1");
    assert.equal(policyLoss([one(2, 1)], base).coefficients[0][0], 0);
    near(policyLoss([one(2, -1)], base).coefficients[0][0], 2, 1e-12, "gradient at ratio 2, A −1");
  },
  "first update": ({ policyLoss }) => {
    // On policy the ratio is 1 and the derivative is −A over the tokens.
    const { coefficients, ratioDeviation } = policyLoss([one(1, 0.5)], base);
    near(coefficients[0][0], -0.5, 1e-12, "on-policy derivative");
    near(ratioDeviation, 0, 1e-12, "ratio");
  },
  "KL sign and form": ({ policyLoss }) => {
    const sequence = { logp: [-1], oldLogp: [-1], refLogp: [-1.5], mask: [1], advantage: 0 };
    const { loss, coefficients, kl } = policyLoss([sequence], { ...base, beta: 0.1 });
    near(kl, Math.exp(-0.5) + 0.5 - 1, 1e-12, "k3");
    near(loss, 0.1 * kl, 1e-12, "the loss grows with the distance");
    assert.ok(coefficients[0][0] > 0, "a token that the policy likes more than the reference does is made less likely");
  },
  "unbiased KL": ({ policyLoss }) => {
    // E_old[d(ρ·k3)/dlogp · ∇logp] = ∇KL(π_θ‖π_ref): on three tokens by enumeration, weights of the softmax's logits.
    const softmax = (z: number[]): number[] => {
      const e = z.map(Math.exp);
      const sum = e.reduce((a, b) => a + b, 0);
      return e.map((v) => v / sum);
    };
    const logits = [0.2, -0.4, 0.9];
    const [now, old, ref] = [softmax(logits), softmax([0.6, 0.1, -0.3]), softmax([-0.5, 0.4, 0.3])];
    const kl = (z: number[]): number => softmax(z).reduce((sum, p, i) => sum + p * Math.log(p / ref[i]), 0);
    for (let j = 0; j < 3; j++) {
      let gradient = 0;
      for (let i = 0; i < 3; i++) {
        const sequence = {
          logp: [Math.log(now[i])],
          oldLogp: [Math.log(old[i])],
          refLogp: [Math.log(ref[i])],
          mask: [1],
          advantage: 0,
        };
        const [[slope]] = policyLoss([sequence], { ...base, beta: 1, unbiasedKl: true }).coefficients;
        gradient += old[i] * slope * ((i === j ? 1 : 0) - now[j]);
      }
      const moved = (by: number): number[] => logits.map((z, i) => z + (i === j ? by : 0));
      near(gradient, (kl(moved(1e-5)) - kl(moved(-1e-5))) / 2e-5, 1e-8, `∇KL by logit ${j}`);
    }
  },
  "derivatives against central differences": ({ policyLoss }) => {
    for (const average of ["sequence", "token", "constant"] as const) {
      for (const unbiasedKl of [false, true]) {
        const objective = { ...base, average, unbiasedKl, beta: 0.3, constantLength: 5 };
        const { coefficients } = policyLoss(sequences(), objective);
        coefficients.forEach((row, s) => {
          row.forEach((coefficient, t) => {
            const at = (by: number): number => {
              const moved = sequences();
              moved[s].logp[t] += by;
              return policyLoss(moved, objective).loss;
            };
            near(coefficient, (at(1e-6) - at(-1e-6)) / 2e-6, 1e-8, `${average} ${unbiasedKl} [${s}][${t}]`);
          });
        });
      }
    }
  },
  normalisers: ({ policyLoss }) => {
    const long = { logp: [-1, -1, -1], oldLogp: [-1, -1, -1], mask: [1, 1, 1], advantage: 1 };
    const short = { logp: [-1], oldLogp: [-1], mask: [1], advantage: -1 };
    const loss = (average: "sequence" | "token" | "constant"): number =>
      policyLoss([long, short], { ...base, average, constantLength: 10 }).loss;
    near(loss("sequence"), 0, 1e-12, "sequence: 1 and −1 weigh the same");
    near(loss("token"), -(3 - 1) / 4, 1e-12, "token");
    near(loss("constant"), -(3 - 1) / 20, 1e-12, "constant");
    assert.throws(() => policyLoss([long], { ...base, average: "constant" }), /constantLength/);
  },
  "forced tokens count nowhere": ({ policyLoss }) => {
    const forced = { logp: [-1, -9], oldLogp: [-1, -1], mask: [1, 0], advantage: 1 };
    const { loss, coefficients, tokens, ratioDeviation } = policyLoss([forced], base);
    assert.deepEqual([loss, tokens, ratioDeviation, coefficients[0][1]], [-1, 1, 0, 0]);
  },
  "off-policy limit": ({ policyLoss }) => {
    const drifted = (advantage: number): real.PolicySequence => ({
      logp: [-2, -2],
      oldLogp: [-1, -1],
      mask: [1, 1],
      advantage,
    });
    const objective = { ...base, offPolicyLimit: 0.5 };
    assert.deepEqual([...policyLoss([drifted(-1)], objective).coefficients[0]], [0, 0], "bad and far: left out");
    assert.equal(policyLoss([drifted(-1)], objective).offPolicyShare, 1);
    assert.ok(policyLoss([drifted(1)], objective).coefficients[0][0] < 0, "good and far: kept");
    const nearby = { logp: [-1.1], oldLogp: [-1], mask: [1], advantage: -1 };
    assert.ok(policyLoss([nearby], objective).coefficients[0][0] > 0, "bad and near: kept");
    const other = { logp: [-1], oldLogp: [-2], mask: [1], advantage: -1 };
    assert.ok(policyLoss([other], objective).coefficients[0][0] > 0, "bad and likelier than before: kept");
  },
  "group baseline": ({ groupAdvantages }) => {
    // Two prompts, interleaved: an easy one (rewards 1, 1, 0) and a hard one (0, 0, 1).
    const groups = [0, 1, 0, 1, 0, 1];
    const got = groupAdvantages([1, 0, 1, 0, 0, 1], groups, false);
    [1 / 3, -1 / 3, 1 / 3, -1 / 3, -2 / 3, 2 / 3].forEach((wanted, i) => near(got[i], wanted, 1e-12, `advantage ${i}`));
    const scaled = groupAdvantages([1, 0, 1, 0, 0, 1], groups, true);
    const deviation = Math.sqrt(2) / 3;
    near(scaled[4], -2 / 3 / deviation, 1e-12, "over the standard deviation");
    assert.deepEqual(
      [...groupAdvantages([1, 1, 0, 0], [5, 5, 9, 9], true)],
      [0, 0, 0, 0],
      "equal rewards teach nothing",
    );
  },
  "end token in, padding out": ({ completionMask }) => {
    assert.deepEqual([...completionMask([7, 8, 1, 0, 0], new Set([1]))], [1, 1, 1, 0, 0]);
    assert.deepEqual([...completionMask([7, 8], new Set([1]))], [1, 1]);
    // The padding token may be the end token itself.
    assert.deepEqual([...completionMask([7, 1, 1, 1], new Set([1]))], [1, 1, 0, 0]);
  },
  "rows of weights": ({ rowWeights }) => {
    assert.deepEqual([...rowWeights(3, [0.5, -0.25])], [0, 0, -0.5, 0.25, 0]);
  },
  "sampling that can be replayed": ({ logitScaleOf }) => {
    assert.equal(logitScaleOf({ temperature: 0.5 }), 2);
    assert.equal(logitScaleOf({}), 1);
    assert.throws(() => logitScaleOf({ topP: 0.9 }), /top_p/);
    assert.throws(() => logitScaleOf({ topK: 5 }), /top_k/);
    assert.throws(() => logitScaleOf({ minP: 0.1 }), /min_p/);
    assert.throws(() => logitScaleOf({ temperature: 0 }), /temperature/);
    assert.throws(() => logitScaleOf({ repetitionPenalty: 1.1 }), /penalties/);
  },
  "overlong penalty": ({ overlongPenalty }) => {
    assert.deepEqual(
      [10, 16, 18, 20, 25].map((length) => overlongPenalty(length, 20, 4)),
      [0, 0, -0.5, -1, -1],
    );
  },
};

for (const [name, check] of Object.entries(checks)) test(name, () => check(real));

/** Bugs that a loss curve hides, as changes of the source. */
const bugs: [string, string, string][] = [
  ["max instead of min in the surrogate", "left ? 0 : Math.min(plain, clipped)", "left ? 0 : Math.max(plain, clipped)"],
  ["gradient through the wrong branch", "const held = clipped < plain", "const held = clipped > plain"],
  ["clip bounds swapped", "1 + clipHigh, Math.max(1 - clipLow", "1 + clipLow, Math.max(1 - clipHigh"],
  ["ratio upside down", "Math.exp(logp[t] - oldLogp[t])", "Math.exp(oldLogp[t] - logp[t])"],
  ["KL with the wrong sign", "value -= beta * factor * k3", "value += beta * factor * k3"],
  ["KL gradient with the wrong sign", "const k3Slope = 1 - Math.exp(log)", "const k3Slope = Math.exp(log) - 1"],
  ["KL reversed", "const log = refLogp![t] - logp[t]", "const log = logp[t] - refLogp![t]"],
  ["k1 in the loss", "const k3 = Math.exp(log) - log - 1", "const k3 = -log"],
  ["ratio of the KL left out of the gradient", "(k3Slope + (unbiasedKl ? k3 : 0))", "k3Slope"],
  ["old log-probabilities of after the update", "const ratio = Math.exp(logp[t] - oldLogp[t])", "const ratio = 1"],
  ["forced or padded tokens counted", "if (mask[t] === 0) continue;", ""],
  ["forced tokens in the normaliser", "sum + m, 0)", "sum + 1, 0)"],
  [
    "end token outside the mask",
    "mask[t] = 1;\n    if (ends.has(ids[t])) break;",
    "if (ends.has(ids[t])) break;\n    mask[t] = 1;",
  ],
  ["padding inside the mask", "if (ends.has(ids[t])) break;", ""],
  ["one baseline for all prompts", "sums.get(groups[i]) ??", "sums.get(groups[0]) ??"],
  ["weights one row late", "weights[promptLength - 1 + t]", "weights[promptLength + t]"],
  ["weights of the wrong sign", "= -coefficients[t]", "= coefficients[t]"],
  ["temperature ignored", "return 1 / temperature", "return 1"],
  ["temperature upside down", "return 1 / temperature", "return temperature"],
  ["top-p accepted", "topP < 1 || ", ""],
  ["off-policy mask on good completions", "advantage < 0 && drift", "drift"],
  ["off-policy drift upside down", "mask[t] * (oldLogp[t] - logp[t])", "mask[t] * (logp[t] - oldLogp[t])"],
  ["length not normalised", "1 / (counts[s] * sequences.length)", "1 / sequences.length"],
];

const source = readFileSync(new URL("./policy-loss.ts", import.meta.url), "utf8");

for (const [name, text, bug] of bugs) {
  test(`noticed: ${name}`, async () => {
    assert.ok(source.includes(text), `the source no longer says ${text}; plant the bug anew`);
    let changed = source.replace(text, bug);
    // Everyone in the first prompt's group: both the sums and the look-ups must change for this one.
    if (name === "one baseline for all prompts") changed = source.replaceAll("groups[i]", "groups[0]");
    const js = stripTypeScriptTypes(changed);
    const planted = (await import(`data:text/javascript,${encodeURIComponent(js)}`)) as Module;
    const failing = Object.values(checks).filter((check) => {
      try {
        check(planted);
        return false;
      } catch {
        return true;
      }
    });
    assert.ok(failing.length > 0, "no check notices this bug");
  });
}
