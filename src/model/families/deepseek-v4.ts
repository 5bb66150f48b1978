// DeepSeek-V4 (arXiv 2606.19348): a sliding window beside compressed entries of all earlier tokens (heavily compressed, or sparse with
// an indexer), one shared key/value head with sink logits, residual streams mixed by hyper-connections, experts chosen by token
// hash in the first layers.
import type {
  CompressedAttention,
  HyperConnections,
  LayerType,
  MoeConfig,
  RopeConfig,
} from "../../checkpoint/config.ts";
import { type Attended, attention, gatherAttention, mergeAttention } from "../../tensor/ops/attention.ts";
import { cacheColumns, cacheWrite, pagedAttention } from "../../tensor/ops/cache.ts";
import { concatColumns, rowMatmul } from "../../tensor/ops/columns.ts";
import { add } from "../../tensor/ops/elementwise.ts";
import { headLinear } from "../../tensor/ops/head-linear.ts";
import { affineSigmoid, hyperGates } from "../../tensor/ops/hyper.ts";
import { linear } from "../../tensor/ops/linear.ts";
import { rmsNorm } from "../../tensor/ops/norm.ts";
import { compressWindows, pagedSelectTopK, selectTopK } from "../../tensor/ops/select.ts";
import { dim, maxDim, type Tensor } from "../../tensor/program.ts";
import type { CacheInputs, ModelContext, WindowInputs } from "../context.ts";
import { remember } from "../layers/cached-attention.ts";
import { experts, V4 } from "../layers/feed-forward.ts";
import { rotary } from "../layers/rotary.ts";
import { embed } from "../transformer.ts";

const wholeWindows = (ctx: ModelContext, ratio: number): WindowInputs => ctx.inputs.windows?.get(ratio) as WindowInputs;

/** Entries of `width` pooled from windows, normalised and rotated at their window's first position: [W, width]. */
function compress(
  ctx: ModelContext,
  x: Tensor,
  at: string,
  width: number,
  ratio: number,
  slices: 1 | 2,
  rope: RopeConfig,
): Tensor {
  const serving = ctx.cache?.windows?.get(ratio);
  const windows = serving ?? wholeWindows(ctx, ratio);
  const columns = slices * width;
  const kv = ctx.linear(x, `${at}.wkv`, columns);
  const gate = ctx.linear(x, `${at}.wgate`, columns);
  const kept = (name: string): Tensor =>
    ctx.program.state(`window.${at}.${name}`, "f32", [
      maxDim((ctx.cache as CacheInputs).pageTable.shape[0]) * (serving?.ring ?? 0),
      columns,
    ]);
  const state = serving && { kv: kept("kv"), gate: kept("gate") };
  const pooled = compressWindows(kv, gate, ctx.weight(`${at}.ape`, [ratio, columns]), windows.sources, state);
  if (serving && state) {
    // After the windows of this step have read what earlier steps kept.
    cacheWrite([kv], state.kv, serving.keep);
    cacheWrite([gate], state.gate, serving.keep);
  }
  const normed = rmsNorm(pooled, ctx.weight(`${at}.norm.weight`, [width]), ctx.config.rmsNormEps);
  return rotary(ctx, normed, rope, { start: width - rope.dim, name: "rope.compress", positions: windows.positions });
}

/** Attention over the compressed entries a row sees: all of them, or those its indexer chooses. */
function attendEntries(
  ctx: ModelContext,
  x: Tensor,
  q: Tensor,
  compressedQuery: Tensor,
  at: string,
  layer: number,
  a: CompressedAttention,
  sparse: boolean,
): Attended {
  const rope = ctx.config.compressRope as RopeConfig;
  const ratio = sparse ? a.sparseRate : a.heavyRate;
  const serving = ctx.cache?.windows?.get(ratio);
  const { heads, headDim, topK } = a.indexer;
  const scale = a.headDim ** -0.5;
  /** Entries of this run; when serving, the cache that they are added to. */
  const entriesOf = (name: string, width: number): Tensor => {
    const entries = compress(ctx, x, `${at}.${name}`, width, ratio, sparse ? 2 : 1, rope);
    if (!serving) return entries;
    const { pages, dtype } = ctx.cache as CacheInputs;
    const rows = pages * serving.pageSize;
    const cache = ctx.program.state(`cache.${at}.${name}`, dtype, [rows, cacheColumns(dtype, width)]);
    return cacheWrite([entries], cache, serving.slots);
  };
  const choose = (): Tensor => {
    const keys = entriesOf("indexer.compressor", headDim);
    const queries = ctx
      .linear(compressedQuery, `${at}.indexer.wq_b`, heads * headDim)
      .reshape(...ctx.shape(heads, headDim));
    const turned = rotary(ctx, queries, rope, { start: headDim - rope.dim, name: "rope.compress" });
    const weights = ctx.linear(x, `${at}.indexer.weights_proj`, heads);
    const options = { topK, scale: (headDim * heads) ** -0.5 };
    if (serving) {
      const rows = { pageTable: serving.table, rowSeq: (ctx.cache as CacheInputs).sequences, rowPos: serving.last };
      return pagedSelectTopK(turned, weights, keys, rows, { ...options, pageSize: serving.pageSize });
    }
    const { first, visible } = wholeWindows(ctx, ratio);
    ctx.indexers.push({ layer, q: turned, w: weights, k: keys });
    return ctx.givenSelections.get(layer) ?? selectTopK(turned, weights, keys, { first, count: visible }, options);
  };
  const entries = entriesOf("compressor", a.headDim);
  const selected = sparse ? choose() : undefined;
  if (selected) ctx.selections.push({ layer, rows: selected });
  if (serving) {
    const { sequences } = ctx.cache as CacheInputs;
    return pagedAttention(
      { q, keys: entries, pageTable: serving.table, rowSeq: sequences, rowPos: serving.last, selected },
      { kvHeads: 1, keyWidth: a.headDim, valueWidth: a.headDim, pageSize: serving.pageSize, scale },
    );
  }
  const { count, list } = wholeWindows(ctx, ratio);
  const shared = entries.reshape(dim(count), 1, a.headDim);
  return gatherAttention(q, shared, shared, selected ?? list, { scale });
}

/** Attention over the latest tokens, whose shared key and value rows are kv [T, headDim]. */
function attendWindow(ctx: ModelContext, q: Tensor, kv: Tensor, at: string, a: CompressedAttention): Attended {
  const options = { scale: a.headDim ** -0.5, window: a.slidingWindow };
  if (ctx.cache) {
    const { pageSize, pageTable, sequences } = ctx.cache;
    const rows = { pageTable, rowSeq: sequences, rowPos: ctx.inputs.positions };
    const widths = { kvHeads: 1, keyWidth: a.headDim, valueWidth: a.headDim, pageSize };
    return pagedAttention({ q, keys: remember(ctx, `${at}.window`, kv), ...rows }, { ...widths, ...options });
  }
  const shared = kv.reshape(...ctx.shape(1, a.headDim));
  return attention(q, shared, shared, ctx.inputs.starts as Tensor, options);
}

/** The attention sub-layer over normalised x [T, d]. */
function compressedAttention(
  ctx: ModelContext,
  x: Tensor,
  at: string,
  layer: number,
  a: CompressedAttention,
  type: LayerType,
): Tensor {
  const { rmsNormEps: eps, hiddenSize } = ctx.config;
  const sliding = type === "sliding";
  const rope = sliding ? ctx.config.rope : (ctx.config.compressRope as RopeConfig);
  const turn = (tensor: Tensor, inverse = false): Tensor =>
    rotary(ctx, tensor, rope, { start: a.headDim - rope.dim, inverse, name: sliding ? "rope" : "rope.compress" });
  const compressedQuery = rmsNorm(
    ctx.linear(x, `${at}.wq_a`, a.qLoraRank),
    ctx.weight(`${at}.q_norm.weight`, [a.qLoraRank]),
    eps,
  );
  const heads = ctx
    .linear(compressedQuery, `${at}.wq_b`, a.heads * a.headDim)
    .reshape(...ctx.shape(a.heads, a.headDim));
  const q = turn(rmsNorm(heads, null, eps));
  const kv = turn(rmsNorm(ctx.linear(x, `${at}.wkv`, a.headDim), ctx.weight(`${at}.norm.weight`, [a.headDim]), eps));
  const window = attendWindow(ctx, q, kv, at, a);
  const entries = sliding
    ? null
    : attendEntries(ctx, x, q, compressedQuery, at, layer, a, type === "compressed_sparse");
  const { out } = mergeAttention(window, entries, ctx.weight(`${at}.attn_sink`, [a.heads]));
  const inner = (a.heads / a.oGroups) * a.headDim;
  const groups = turn(out, true).reshape(...ctx.shape(a.oGroups, inner));
  const shape = [a.oGroups, a.oLoraRank, inner];
  // Packed weights are laid out by group, so a serving program must know the groups; checkpoints and trainers know one matrix.
  const wo = ctx.cache
    ? ctx.weight(`${at}.wo_a.weight`, shape)
    : ctx.weight(`${at}.wo_a.weight`, [a.oGroups * a.oLoraRank, inner]).reshape(...shape);
  return ctx.linear(headLinear(groups, wo).reshape(...ctx.shape(a.oGroups * a.oLoraRank)), `${at}.wo_b`, hiddenSize);
}

/** One sub-layer between hyper-connections: streams [T, n, d] read through `pre`, written through `post`, mixed by `comb`. */
function connect(
  ctx: ModelContext,
  streams: Tensor,
  at: string,
  hc: HyperConnections,
  layer: (x: Tensor) => Tensor,
): Tensor {
  const { hiddenSize: d, rmsNormEps } = ctx.config;
  const n = hc.mult;
  const width = 2 * n + n * n;
  const flat = rmsNorm(streams.reshape(...ctx.shape(n * d)), null, rmsNormEps);
  const mix = linear(flat, ctx.weight(`${at}_fn`, [width, n * d]));
  const gates = hyperGates(mix, ctx.weight(`${at}_scale`, [3]), ctx.weight(`${at}_base`, [width]), {
    streams: n,
    iterations: hc.sinkhornIters,
    eps: hc.eps,
  });
  const x = rowMatmul(gates.pre.reshape(...ctx.shape(1, n)), streams).reshape(...ctx.shape(d));
  const written = rowMatmul(gates.post.reshape(...ctx.shape(n, 1)), layer(x).reshape(...ctx.shape(1, d)));
  return add(written, rowMatmul(gates.comb, streams, true));
}

export function deepseekV4Trunk(ctx: ModelContext): Tensor {
  const { config } = ctx;
  const { hiddenSize: d, rmsNormEps } = config;
  const hc = config.hyperConnections as HyperConnections;
  const n = hc.mult;
  const embedded = embed(ctx, ctx.inputs.ids);
  let copies = embedded;
  for (let i = 1; i < n; i++) copies = concatColumns(copies, embedded);
  let streams = copies.reshape(...ctx.shape(n, d));
  ctx.hidden.push(streams);
  for (let layer = 0; layer < config.numHiddenLayers; layer++) {
    const at = `model.layers.${layer}`;
    const norm = (x: Tensor, name: string): Tensor => rmsNorm(x, ctx.weight(`${at}.${name}.weight`, [d]), rmsNormEps);
    streams = connect(ctx, streams, `${at}.hc_attn`, hc, (x) =>
      compressedAttention(
        ctx,
        norm(x, "attn_norm"),
        `${at}.attn`,
        layer,
        config.attention as CompressedAttention,
        config.layerTypes[layer],
      ),
    );
    streams = connect(ctx, streams, `${at}.hc_ffn`, hc, (x) =>
      experts(ctx, norm(x, "ffn_norm"), `${at}.ffn`, layer, config.moe as MoeConfig, {
        names: V4,
        type: config.mlpTypes[layer],
        limit: config.swigluLimit ?? 0,
        biasName: "bias",
      }),
    );
    if (layer < config.numHiddenLayers - 1) ctx.hidden.push(streams);
  }
  const flat = rmsNorm(streams.reshape(...ctx.shape(n * d)), null, rmsNormEps);
  const mix = linear(flat, ctx.weight("model.hc_head.hc_fn", [n, n * d]));
  const gates = affineSigmoid(
    mix,
    ctx.weight("model.hc_head.hc_scale", [1]),
    ctx.weight("model.hc_head.hc_base", [n]),
    hc.eps,
  );
  return rowMatmul(gates.reshape(...ctx.shape(1, n)), streams).reshape(...ctx.shape(d));
}
