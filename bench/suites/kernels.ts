// The matrix products beside their peers and limits: float32 beside ONNX Runtime (and @jax-js/jax for WebAssembly), experts beside the
// dense product of the same work, int8 weights beside the memory's bandwidth and our own float32 product, AdamW beside that bandwidth.
// WEIR_BENCH_PART=f32,wasm,… runs some parts only.
import type { Device } from "../../src/tensor/device.ts";
import { DTYPES, type Dtype } from "../../src/tensor/dtype.ts";
import { NativeDevice, probeMachine } from "../../src/tensor/native.ts";
import { groupedLinear } from "../../src/tensor/ops/grouped.ts";
import { linear } from "../../src/tensor/ops/linear.ts";
import { matmul } from "../../src/tensor/ops/matmul.ts";
import { adamw } from "../../src/tensor/ops/optimizer.ts";
import { Program, type Tensor } from "../../src/tensor/program.ts";
import { WasmDevice } from "../../src/tensor/wasm.ts";
import { median, peer, type Report } from "../figure.ts";
import { productChain } from "../onnx.ts";

type Run = () => unknown;
interface Ready {
  run: Run;
  free(): void;
}

const random = (n: number): Float32Array => Float32Array.from({ length: n }, () => Math.random() * 2 - 1);

/**
 * Seconds of each contestant: the median over alternating rounds of a round's fastest call (or short burst of calls). Within a round
 * the fastest, because only what fits between two turns of the scheduler runs undisturbed.
 */
async function alternate(runs: Run[], rounds = 8, milliseconds = 40): Promise<number[]> {
  const bests = runs.map((): number[] => []);
  for (let round = 0; round < rounds; round++) {
    for (const [i, run] of runs.entries()) {
      const end = performance.now() + milliseconds;
      let calls = 1;
      let best = Number.POSITIVE_INFINITY;
      do {
        const begin = performance.now();
        for (let call = 0; call < calls; call++) {
          const pending = run();
          if (pending instanceof Promise) await pending;
        }
        const passed = performance.now() - begin;
        best = Math.min(best, passed / calls / 1000);
        if (passed < 0.2) calls *= 2;
      } while (performance.now() < end);
      bests[i].push(best);
    }
  }
  return bests.map(median);
}

/** Products in a chain, alternately K → N and N → K, so that small ones weigh more than the call. */
interface Chain {
  rows: number;
  k: number;
  n: number;
  length: number;
}
const work = ({ rows, k, n, length }: Chain): number => 2 * rows * k * n * length;
const shapesOf = ({ k, n, length }: Chain): [number, number][] =>
  Array.from({ length }, (_, i) => (i % 2 ? [n, k] : [k, n]));

function ours(device: Device, chain: Chain, packed: boolean): Ready {
  const program = new Program("chain");
  let y: Tensor = program.input("x", "f32", [chain.rows, chain.k]);
  const bindings: Record<string, ReturnType<Device["buffer"]>> = {};
  shapesOf(chain).forEach(([from, to], i) => {
    const plain = device.buffer(
      "f32",
      [to, from],
      random(from * to).map((x) => x / Math.sqrt(from)),
    );
    bindings[`w${i}`] = packed ? device.pack(plain) : plain;
    y = linear(y, program.param(`w${i}`, packed ? "packed:f32" : "f32", [to, from]));
  });
  program.output(y, "y");
  const executable = device.compile(program, bindings);
  (executable.buffer("x").view() as Float32Array).set(random(chain.rows * chain.k));
  return {
    run: () => executable.run(),
    free: () => {
      executable.free();
      for (const buffer of Object.values(bindings)) buffer.free();
    },
  };
}

interface Ort {
  InferenceSession: { create(model: Uint8Array, options: object): Promise<OrtSession> };
  Tensor: new (type: "float32", data: Float32Array, dims: number[]) => unknown;
}
interface OrtSession {
  run(feeds: Record<string, unknown>, fetches?: Record<string, unknown>): Promise<unknown>;
  release(): Promise<void>;
}

async function theirs(ort: Ort, threads: number, chain: Chain, constant: boolean): Promise<Ready> {
  const weights = shapesOf(chain).map(([from, to]) => ({
    shape: [from, to],
    data: random(from * to).map((x) => x / Math.sqrt(from)),
  }));
  const model = productChain([chain.rows, chain.k], weights, constant);
  const session = await ort.InferenceSession.create(model, { intraOpNumThreads: threads, interOpNumThreads: 1 });
  const feeds: Record<string, unknown> = {
    x: new ort.Tensor("float32", random(chain.rows * chain.k), [chain.rows, chain.k]),
  };
  if (!constant) weights.forEach(({ shape, data }, i) => (feeds[`w${i}`] = new ort.Tensor("float32", data, shape)));
  const last = shapesOf(chain)[chain.length - 1][1];
  const y = new ort.Tensor("float32", new Float32Array(chain.rows * last), [chain.rows, last]);
  return { run: () => session.run(feeds, { y }), free: () => void session.release() };
}

const named = ({ rows, k, n }: Chain): string => `[${rows}×${k}]·[${k}×${n}]`;

/** Square products of two activations' kind (weights given at each call), then the shapes of models with constant weights. */
const SQUARE: Chain[] = [256, 512, 1024, 2048].map((n) => ({ rows: n, k: n, n, length: 1 }));
const SKINNY: Chain[] = [
  { rows: 4096, k: 160, n: 160, length: 1 },
  { rows: 4096, k: 160, n: 512, length: 1 },
  { rows: 512, k: 2048, n: 1408, length: 1 },
  { rows: 256, k: 576, n: 1536, length: 1 },
  { rows: 16, k: 160, n: 160, length: 32 },
  { rows: 16, k: 160, n: 512, length: 32 },
  { rows: 16, k: 512, n: 1536, length: 16 },
  { rows: 1, k: 160, n: 160, length: 64 },
  { rows: 1, k: 160, n: 512, length: 64 },
  { rows: 1, k: 576, n: 1536, length: 16 },
  { rows: 1, k: 2048, n: 1408, length: 8 },
];

async function floatProducts(report: Report): Promise<void> {
  const ort = (await peer<{ default: Ort }>("onnxruntime-node"))?.default;
  for (const threads of [1, 2]) {
    const device = new NativeDevice({ threads });
    for (const [chains, constant, need] of [
      [SQUARE, false, 0.95],
      [SKINNY, true, 1],
    ] as const) {
      for (const chain of chains) {
        const contestants = [ours(device, chain, false), ...(constant ? [ours(device, chain, true)] : [])];
        if (ort) contestants.push(await theirs(ort, threads, chain, constant));
        const times = await alternate(contestants.map(({ run }) => run));
        for (const { free } of contestants) free();
        const rates = times.map((time) => work(chain) / time / 1e9);
        const peerValue = ort ? rates[rates.length - 1] : undefined;
        const common = { suite: "kernels", unit: "GFLOP/s", peer: "onnxruntime-node", peerValue, need };
        const plural = `${threads} thread${threads > 1 ? "s" : ""}`;
        report({ ...common, name: `f32 ${named(chain)}, ${plural}`, value: rates[0] });
        if (constant) report({ ...common, name: `f32 packed ${named(chain)}, ${plural}`, value: rates[1] });
      }
    }
    device.close();
  }
}

/** Gradients cost what the forward product costs. */
async function gradientProducts(report: Report): Promise<void> {
  const device = new NativeDevice({ threads: 2 });
  for (const [rows, k, n] of [
    [4096, 160, 448],
    [2048, 512, 1536],
  ]) {
    const runs = ([[], [false, true], [true, false]] as const).map((form) => {
      const program = new Program("gradient");
      const [a, b] =
        form.length === 0
          ? [
              [rows, k],
              [n, k],
            ]
          : form[1]
            ? [
                [rows, n],
                [n, k],
              ]
            : [
                [rows, n],
                [rows, k],
              ];
      const [x, y] = [program.input("a", "f32", a), program.input("b", "f32", b)];
      const out =
        form.length === 0
          ? matmul(x, y, { transposeB: true })
          : form[1]
            ? matmul(x, y)
            : matmul(x, y, { transposeA: true });
      program.output(out, "y");
      const executable = device.compile(program);
      for (const name of ["a", "b"]) {
        const view = executable.buffer(name).view() as Float32Array;
        view.set(random(view.length));
      }
      return { run: () => executable.run(), free: () => executable.free() };
    });
    const times = await alternate(runs.map(({ run }) => run));
    for (const { free } of runs) free();
    const rates = times.map((time) => (2 * rows * k * n) / time / 1e9);
    const common = { suite: "kernels", unit: "GFLOP/s", peer: "own forward product", peerValue: rates[0] };
    report({ ...common, name: `f32 dx [${rows}×${n}]·[${n}×${k}], 2 threads`, value: rates[1] });
    report({ ...common, name: `f32 dw [${n}×${rows}]·[${rows}×${k}], 2 threads`, value: rates[2] });
  }
  device.close();
}

async function groupedProducts(report: Report): Promise<void> {
  const device = new NativeDevice({ threads: 2 });
  const tokens = 2048;
  for (const [experts, k, n] of [
    [12, 160, 256],
    [32, 512, 512],
    [64, 512, 512],
    [64, 2048, 1408],
  ]) {
    const program = new Program("grouped");
    const x = program.input("x", "f32", [tokens, k]);
    const offsets = program.input("offsets", "i32", [experts + 1]);
    program.output(groupedLinear(x, program.param("w", "f32", [experts, n, k]), offsets), "y");
    const executable = device.compile(program);
    (executable.buffer("x").view() as Float32Array).set(random(tokens * k));
    const weights = executable.buffer("w").view() as Float32Array;
    weights.set(random(weights.length));
    /* Uneven, as routers are: expert e gets a share that grows with e. */
    const bounds = Int32Array.from({ length: experts + 1 }, (_, e) =>
      Math.round((tokens * (e * (e + experts))) / (2 * experts * experts)),
    );
    executable.buffer("offsets").view().set(bounds);
    const dense = ours(device, { rows: tokens, k, n, length: 1 }, false);
    const [grouped, whole] = await alternate([() => executable.run(), dense.run]);
    executable.free();
    dense.free();
    const rate = (time: number): number => (2 * tokens * k * n) / time / 1e9;
    report({
      suite: "kernels",
      name: `grouped f32, ${tokens} tokens, ${experts} experts [${k}→${n}]`,
      value: rate(grouped),
      unit: "GFLOP/s",
      peer: "own dense product",
      peerValue: rate(whole),
      need: 0.85,
    });
  }
  device.close();
}

type Quantized = "q8_0" | "q4_0" | "q5_0" | "q4_k" | "q5_k" | "q6_k" | "iq4_xs";

/** Blocks of random codes; exponents of all half-precision scales stay small. */
function randomBlocks(dtype: Quantized, elements: number): Uint8Array {
  const { block, bytes } = DTYPES[dtype];
  return Uint8Array.from({ length: (elements / block) * bytes }, () => Math.floor(Math.random() * 64) & 0x2f);
}

/** Products of `rows` quantised rows with `matrices` different [n, k] weights each, so that no cache holds them all. */
function quantized(device: Device, dtype: Quantized, rows: number, k: number, n: number, matrices: number): Ready {
  const program = new Program("quantized");
  const x = program.input("x", "f32", [rows, k]);
  const bindings: Record<string, ReturnType<Device["buffer"]>> = {};
  for (let i = 0; i < matrices; i++) {
    const plain = device.buffer(dtype, [n, k], randomBlocks(dtype, n * k));
    bindings[`w${i}`] = device.pack(plain);
    plain.free();
    program.output(linear(x, program.param(`w${i}`, `packed:${dtype}` as Dtype, [n, k])), `y${i}`);
  }
  const executable = device.compile(program, bindings);
  (executable.buffer("x").view() as Float32Array).set(random(rows * k));
  return {
    run: () => executable.run(),
    free: () => {
      executable.free();
      for (const buffer of Object.values(bindings)) buffer.free();
    },
  };
}

async function quantizedProducts(report: Report): Promise<void> {
  for (const threads of [1, 2]) {
    const device = new NativeDevice({ threads });
    const { bandwidth } = probeMachine(threads, 500);
    for (const dtype of ["q8_0", "q4_k", "q6_k", "q4_0", "q5_0"] as const) {
      const [k, n, matrices] = [2048, 8192, 6];
      const { block, bytes } = DTYPES[dtype];
      const size = ((n * k) / block) * bytes * matrices;
      const vector = quantized(device, dtype, 1, k, n, matrices);
      let [time] = [Number.POSITIVE_INFINITY];
      let limit = bandwidth;
      for (let round = 0; round < 4; round++) {
        time = Math.min(time, ...(await alternate([vector.run], 2)));
        limit = Math.max(limit, probeMachine(threads, 150).bandwidth);
      }
      vector.free();
      report({
        suite: "kernels",
        name: `${dtype} matrix × vector, ${matrices} × [${n}×${k}], ${threads} thread(s)`,
        value: size / time / 1e9,
        unit: "GB/s",
        peer: "plain read loop",
        peerValue: limit / 1e9,
        need: dtype === "q8_0" ? 0.8 : undefined,
      });
    }
    for (const [rows, k, n] of [
      [512, 2048, 1408],
      [512, 512, 1536],
    ]) {
      for (const dtype of ["q8_0", "q4_k", "q6_k"] as const) {
        const own = ours(device, { rows, k, n, length: 1 }, false);
        const fast = quantized(device, dtype, rows, k, n, 1);
        const times = await alternate([fast.run, own.run]);
        own.free();
        fast.free();
        const [value, peerValue] = times.map((time) => (2 * rows * k * n) / time / 1e9);
        report({
          suite: "kernels",
          name: `${dtype} [${rows}×${k}]·[${k}×${n}], ${threads} thread(s)`,
          value,
          unit: "GFLOP/s",
          peer: "own f32 product",
          peerValue,
          need: dtype === "q8_0" ? 1.5 : undefined,
        });
      }
    }
    device.close();
  }
}

interface Jax {
  init(backend: string): Promise<unknown>;
  defaultDevice(backend: string): unknown;
  numpy: { array(data: Float32Array): JaxArray; matmul(a: JaxArray, b: JaxArray): JaxArray };
  jit(f: (a: JaxArray, b: JaxArray) => JaxArray): (a: JaxArray, b: JaxArray) => JaxArray;
}
interface JaxArray {
  ref: JaxArray;
  reshape(shape: number[]): JaxArray;
  data(): Promise<Float32Array>;
}

/** WebAssembly beside @jax-js/jax, which uses one thread or several as it sees fit; ours with as many. */
async function wasmProducts(report: Report): Promise<void> {
  const jax = await peer<Jax>("@jax-js/jax");
  if (jax) {
    await jax.init("wasm");
    jax.defaultDevice("wasm");
  }
  const native = new NativeDevice({ threads: 2 });
  const device = await WasmDevice.open({ threads: 2 });
  for (const n of [256, 512, 1024]) {
    const chain = { rows: n, k: n, n, length: 1 };
    const mine = ours(device, chain, false);
    const fast = ours(native, chain, false);
    const runs: Run[] = [mine.run, fast.run];
    if (jax) {
      const [a, b] = [random(n * n), random(n * n)].map((data) => jax.numpy.array(data).reshape([n, n]));
      const product = jax.jit((x, y) => jax.numpy.matmul(x, y));
      runs.push(async () => (await product(a.ref, b.ref).data())[0]);
    }
    const times = await alternate(runs);
    const rates = times.map((time) => work(chain) / time / 1e9);
    mine.free();
    fast.free();
    const common = { suite: "kernels", unit: "GFLOP/s", value: rates[0] };
    report({ ...common, name: `wasm f32 ${named(chain)}`, peer: "@jax-js/jax", peerValue: rates[2], need: 1.3 });
    report({ ...common, name: `wasm f32 ${named(chain)}`, peer: "own native", peerValue: rates[1] });
  }
  for (const [rows, need] of [
    [512, 0.45],
    [1, 0.45],
  ]) {
    for (const dtype of ["q8_0", "q4_k", "q6_k"] as const) {
      const [k, n, matrices] = [512, 1536, rows === 1 ? 8 : 1];
      const [mine, fast] = [device, native].map((on) => quantized(on, dtype, rows, k, n, matrices));
      const times = await alternate([mine.run, fast.run]);
      mine.free();
      fast.free();
      const [value, peerValue] = times.map((time) => (2 * rows * k * n * matrices) / time / 1e9);
      report({
        suite: "kernels",
        name: `wasm ${dtype} [${rows}×${k}]·[${k}×${n}]`,
        value,
        unit: "GFLOP/s",
        peer: "own native",
        peerValue,
        need,
      });
    }
  }
  device.close();
  native.close();
}

/** One AdamW step over ten million parameters: it reads and writes parameter, gradient (set to zero) and two moments once each. */
async function optimizerStep(report: Report): Promise<void> {
  const n = 10_000_000;
  for (const threads of [1, 2]) {
    const device = new NativeDevice({ threads });
    const program = new Program("adamw");
    const [p, grad, m, v] = ["p", "grad", "m", "v"].map((name) => program.state(name, "f32", [n]));
    const [rates, scale] = [program.input("rates", "f32", [3]), program.input("scale", "f32", [2])];
    adamw(p, grad, m, v, rates, scale, { beta1: 0.9, beta2: 0.95, eps: 1e-8, weightDecay: 0.1 });
    const states = Object.fromEntries(["p", "grad", "m", "v"].map((name) => [name, device.buffer("f32", [n])]));
    const executable = device.compile(program, states);
    (executable.buffer("rates").view() as Float32Array).set([1e-3, 0.1, 0.05]);
    (executable.buffer("scale").view() as Float32Array).set([1, 1]);
    const times: number[] = [];
    const limits: number[] = [];
    for (let round = 0; round < 6; round++) {
      times.push(...(await alternate([() => executable.run()], 1, 200)));
      limits.push(probeMachine(threads, 150).bandwidth);
    }
    executable.free();
    for (const state of Object.values(states)) state.free();
    device.close();
    report({
      suite: "kernels",
      name: `AdamW, 10M parameters, ${threads} thread(s): its reads alone, as many bytes are written`,
      value: (16 * n) / median(times) / 1e9,
      unit: "GB/s",
      peer: "plain read loop",
      peerValue: median(limits) / 1e9,
      need: 0.75,
    });
  }
}

export default async function kernels(report: Report): Promise<void> {
  const parts = {
    f32: floatProducts,
    gradients: gradientProducts,
    grouped: groupedProducts,
    quantized: quantizedProducts,
    adamw: optimizerStep,
    wasm: wasmProducts,
  };
  const wanted = process.env.WEIR_BENCH_PART?.split(",");
  for (const [name, run] of Object.entries(parts)) if (!wanted || wanted.includes(name)) await run(report);
}
