// Attention beside the machine's own limits: full attention forward and backward beside the rate of our float32 matrix product,
// paged attention of decode beside the bandwidth with which its cache can be read and beside the product rate.
// Work counted: the causal half only, two products forward, five backward; recomputed scores are not counted as work.
import { gradients } from "../../src/tensor/autodiff.ts";
import { NativeDevice, probeMachine } from "../../src/tensor/native.ts";
import { attention } from "../../src/tensor/ops/attention.ts";
import { type CacheDtype, cacheColumns, pagedAttention } from "../../src/tensor/ops/cache.ts";
import { dot } from "../../src/tensor/ops/elementwise.ts";
import { linear } from "../../src/tensor/ops/linear.ts";
import { dim, Program } from "../../src/tensor/program.ts";
import { type Report, seconds } from "../figure.ts";

const random = (n: number): Float32Array => Float32Array.from({ length: n }, () => Math.random() * 2 - 1);

/** Floating-point operations per second of the float32 product, 1,024 cubed. */
async function productRate(device: NativeDevice): Promise<number> {
  const n = 1024;
  const program = new Program("product");
  const y = linear(program.input("x", "f32", [n, n]), program.param("w", "f32", [n, n]));
  program.output(y, "y");
  const executable = device.compile(program);
  for (const name of ["x", "w"]) (executable.buffer(name).view() as Float32Array).set(random(n * n));
  const time = await seconds(() => executable.run());
  executable.free();
  return (2 * n ** 3) / time;
}

interface Full {
  tokens: number;
  /** Tokens per document. */
  document: number;
  heads: number;
  kvHeads: number;
  dk: number;
  dv: number;
  backward: boolean;
}

/** Seconds and useful operations of full attention. */
async function full(device: NativeDevice, { tokens, document, heads, kvHeads, dk, dv, backward }: Full) {
  const program = new Program("attention");
  const q = program.input("q", "f32", [tokens, heads, dk]);
  const k = program.input("k", "f32", [tokens, kvHeads, dk]);
  const v = program.input("v", "f32", [tokens, kvHeads, dv]);
  const { out } = attention(q, k, v, program.input("starts", "i32", [tokens]), { scale: dk ** -0.5 });
  program.output(out, "out");
  const probe = program.input("probe", "f32", [tokens, heads, dv]);
  if (backward) {
    for (const tensor of [q, k, v]) tensor.requiresGrad = true;
    for (const tensor of [q, k, v, out]) tensor.base.requiresGrad = true;
    gradients(program, dot(out, probe), { extra: [q, k, v] });
  }
  const executable = device.compile(program);
  for (const [name, size] of Object.entries({
    q: tokens * heads * dk,
    k: tokens * kvHeads * dk,
    v: tokens * kvHeads * dv,
    probe: tokens * heads * dv,
  }))
    (executable.buffer(name).view() as Float32Array).set(random(size));
  const starts = executable.buffer("starts").view() as Int32Array;
  starts.forEach((_, t) => (starts[t] = t - (t % document)));
  const time = await seconds(() => executable.run());
  executable.free();
  const pairs = (heads * tokens * (document + 1)) / 2;
  return { time, work: pairs * 2 * (dk + dv + (backward ? 3 * dk + 2 * dv : 0)) };
}

interface Decode {
  sequences: number;
  context: number;
  heads: number;
  /** Widths of the latent and of the rotary part; or of a key and a value head. */
  latent: number;
  rope: number;
  dtype: CacheDtype;
}

/** Seconds, operations and cache bytes of one layer's decode step with MLA. */
async function decode(device: NativeDevice, { sequences, context, heads, latent, rope, dtype }: Decode) {
  const pageSize = 64;
  const pages = Math.ceil(context / pageSize);
  const width = latent + rope;
  const rows = sequences * pages * pageSize;
  // As many copies of the cache as a model of 8 layers would have, so that nothing stays in the processor's caches.
  const layers = 8;
  const program = new Program("decode");
  const t = program.register("T", sequences);
  const q = program.input("q", "f32", [dim(t), heads, width]);
  const table = program.input("table", "i32", [sequences, pages], { min: 0, max: sequences * pages });
  const rowSeq = program.input("rowSeq", "i32", [dim(t)], { min: 0, max: sequences });
  const rowPos = program.input("rowPos", "i32", [dim(t)], { min: -1, max: pages * pageSize });
  const columns = cacheColumns(dtype, width);
  for (let layer = 0; layer < layers; layer++) {
    const keys = program.state(`cache.${layer}`, dtype, [rows, columns]);
    const { out } = pagedAttention(
      { q, keys, pageTable: table, rowSeq, rowPos },
      { kvHeads: 1, keyWidth: width, valueWidth: latent, pageSize, scale: width ** -0.5 },
    );
    program.output(out, `out.${layer}`);
  }
  const executable = device.compile(program);
  (executable.buffer("q").view() as Float32Array).set(random(sequences * heads * width));
  for (let layer = 0; layer < layers; layer++) {
    const view = executable.buffer(`cache.${layer}`).view();
    if (dtype === "f32") view.set(random(rows * columns));
    else for (let i = 0; i < view.length; i++) view[i] = dtype === "bf16" && i % 2 ? 0x3f : i & 0x3f;
  }
  const pageTable = executable.buffer("table").view();
  pageTable.forEach((_, i) => (pageTable[i] = i));
  const [seqs, positions] = [executable.buffer("rowSeq").view(), executable.buffer("rowPos").view()];
  for (let i = 0; i < sequences; i++) {
    seqs[i] = i;
    positions[i] = context - 1;
  }
  const time = (await seconds(() => executable.run({ T: sequences }))) / layers;
  executable.free();
  const keys = sequences * context;
  return {
    time,
    work: keys * heads * 2 * (width + latent),
    bytes: keys * columns * (dtype === "f32" ? 4 : dtype === "bf16" ? 2 : 1),
  };
}

export default async function suite(report: Report): Promise<void> {
  for (const threads of [1, 2]) {
    const device = new NativeDevice({ threads, grain: 0 });
    const product = await productRate(device);
    const { bandwidth } = probeMachine(threads, 500);
    const on = `${threads} thread${threads > 1 ? "s" : ""}`;
    report({ suite: "attention", name: `own f32 product, 1,024 cubed, ${on}`, value: product / 1e9, unit: "GFLOP/s" });
    const shapes: [string, Full, number?][] = [
      [
        "1,024 tokens, 8 heads of 64, forward+backward",
        { tokens: 1024, document: 1024, heads: 8, kvHeads: 8, dk: 64, dv: 64, backward: true },
        0.6,
      ],
      ["the same, forward", { tokens: 1024, document: 1024, heads: 8, kvHeads: 8, dk: 64, dv: 64, backward: false }],
      [
        "MLA 96/64, 8 heads, documents of 256, fwd+bwd",
        { tokens: 2048, document: 256, heads: 8, kvHeads: 8, dk: 96, dv: 64, backward: true },
      ],
      [
        "MLA 48/32, 5 heads, documents of 256, fwd+bwd",
        { tokens: 4096, document: 256, heads: 5, kvHeads: 5, dk: 48, dv: 32, backward: true },
      ],
    ];
    for (const [name, shape, need] of shapes) {
      // In turns with the product, so that what else the machine does meets both.
      let rate = 0;
      let product = 0;
      for (let turn = 0; turn < 3; turn++) {
        const { time, work } = await full(device, shape);
        rate = Math.max(rate, work / time);
        product = Math.max(product, await productRate(device));
      }
      report({
        suite: "attention",
        name: `${name}, ${on}`,
        value: rate / 1e9,
        unit: "GFLOP/s",
        peer: "of own product",
        peerValue: product / 1e9,
        need,
      });
    }
    for (const dtype of ["f32", "bf16", "i8"] as const) {
      for (const [name, shape] of [
        ["V2-Lite decode at 4,096", { sequences: 1, context: 4096, heads: 16, latent: 512, rope: 64 }],
        ["mini decode at 1,024, 16 streams", { sequences: 16, context: 1024, heads: 8, latent: 128, rope: 32 }],
      ] as const) {
        const { time, work, bytes } = await decode(device, { ...shape, dtype });
        // What neither the cache's bytes nor its arithmetic allow to be beaten.
        const limit = Math.max(bytes / bandwidth, work / product);
        report({
          suite: "attention",
          name: `${name}, ${dtype} cache, one layer, ${on}`,
          value: 1 / time,
          unit: "steps/s",
          peer: "by own limits",
          peerValue: 1 / limit,
        });
      }
    }
    device.close();
  }
}
