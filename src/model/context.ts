// What a family's forward pass is written against: the program under construction, its weights by checkpoint name, and whether it
// trains on whole packed rows or serves from a paged cache. The mathematics is in layers/ and families/.
import type { ModelConfig } from "../checkpoint/config.ts";
import type { Dtype } from "../tensor/dtype.ts";
import { quantizeRows, takesQuantized } from "../tensor/ops/activations.ts";
import { linear, linearQuantized } from "../tensor/ops/linear.ts";
import { type Dim, dim, type Program, type Register, type Tensor } from "../tensor/program.ts";
import type { ServingWindows } from "./serving-windows.ts";

/** Where keys and values of earlier tokens live when serving. Shapes: tensor/ops/cache.ts. */
export interface CacheInputs {
  /** Tokens per page. */
  pageSize: number;
  pages: number;
  /** i32 [S, maxPages]. */
  pageTable: Tensor;
  /** i32 [T]: which row of pageTable each token belongs to. */
  sequences: Tensor;
  /** i32 [T]: the cache row each token is written to. */
  slots: Tensor;
  dtype: "f32" | "bf16" | "i8";
  /** Compressed entries by tokens per entry; V4. */
  windows?: ReadonlyMap<number, ServingWindows>;
}

export interface ModelInputs {
  /** i32 [T]. */
  ids: Tensor;
  /** i32 [T]: position within the sequence. */
  positions: Tensor;
  /** i32 [T]: first row of each row's document; training only. */
  starts: Tensor | null;
  /** i32 [T]: how many rows of its document a row sees, itself included; for the indexer in training. */
  visible?: Tensor;
  /** Compressed entries by tokens per entry; V4 in training. */
  windows?: Map<number, WindowInputs>;
}

/** Which tokens the windows of a run pool. */
export interface CompressionInputs {
  /** How many windows a run completes. */
  count: Register;
  /** i32 [W, slots]. */
  sources: Tensor;
  /** i32 [W]: the position of each window's first token. */
  positions: Tensor;
}

/** Indices of windows.ts as inputs of a training program. */
export interface WindowInputs extends CompressionInputs {
  /** i32 [T]. */
  first: Tensor;
  visible: Tensor;
  /** i32 [T, most entries]: every entry a row sees, −1 after the last. */
  list: Tensor;
}

export class ModelContext {
  readonly program: Program;
  readonly config: ModelConfig;
  readonly rows: Register;
  readonly inputs: ModelInputs;
  readonly cache: CacheInputs | null;
  readonly maxPositions: number;
  /** Values that follow from the configuration (rotary tables), to be bound under these names. */
  readonly constants = new Map<string, Float32Array>();
  /** hidden[0] after the embedding, hidden[i] after layer i, the last after the final norm. */
  readonly hidden: Tensor[] = [];
  /** Expert choice of every MoE layer, i32 [T, K], and scores, in layer order. */
  readonly routes: { layer: number; ids: Tensor; scores: Tensor; offsets: Tensor }[] = [];
  /** Expert choices to follow instead of making them, by layer; i32 [T, K]. */
  readonly givenRoutes = new Map<number, Tensor>();
  /** Indexer choices of every sparse-attention layer, i32 [T, top_k], in layer order; and choices to follow instead, by layer. */
  readonly selections: { layer: number; rows: Tensor }[] = [];
  readonly givenSelections = new Map<number, Tensor>();
  /** What the choices are made from: queries [T, H, D], head weights [T, H], keys [rows, D]; in training, in layer order. */
  readonly indexers: { layer: number; q: Tensor; w: Tensor; k: Tensor }[] = [];
  private readonly params = new Map<string, Tensor>();
  private readonly quantized = new Map<Tensor, Tensor>();
  private readonly dtypeOf: (name: string, shape: readonly number[]) => Dtype;

  constructor(fields: {
    program: Program;
    config: ModelConfig;
    rows: Register;
    inputs: ModelInputs;
    cache: CacheInputs | null;
    maxPositions: number;
    dtypeOf?: (name: string, shape: readonly number[]) => Dtype;
  }) {
    this.program = fields.program;
    this.config = fields.config;
    this.rows = fields.rows;
    this.inputs = fields.inputs;
    this.cache = fields.cache;
    this.maxPositions = fields.maxPositions;
    this.dtypeOf = fields.dtypeOf ?? (() => "f32");
  }

  /** [T, …widths] as a shape. */
  shape(...widths: number[]): Dim[] {
    return [dim(this.rows), ...widths];
  }

  /** The weight of this checkpoint name, declared on first use. */
  weight(name: string, shape: readonly number[]): Tensor {
    let tensor = this.params.get(name);
    if (!tensor) {
      tensor = this.program.param(name, this.dtypeOf(name, shape), shape);
      this.params.set(name, tensor);
    }
    return tensor;
  }

  /** A weight that receives no gradient (selection bias, token-to-expert table). */
  buffer(name: string, dtype: "f32" | "i32", shape: readonly number[]): Tensor {
    let tensor = this.params.get(name);
    if (!tensor) {
      tensor = this.program.param(name, dtype, shape, false);
      this.params.set(name, tensor);
    }
    return tensor;
  }

  /** A table that follows from the configuration. */
  constant(name: string, shape: readonly number[], make: () => Float32Array): Tensor {
    let tensor = this.params.get(name);
    if (!tensor) {
      tensor = this.program.param(name, "f32", shape, false);
      this.params.set(name, tensor);
      this.constants.set(name, make());
    }
    return tensor;
  }

  get parameters(): ReadonlyMap<string, Tensor> {
    return this.params;
  }

  /** x quantised once for all block-quantised products that read it. */
  quantize(x: Tensor): Tensor {
    let rows = this.quantized.get(x);
    if (!rows) {
      rows = quantizeRows(x);
      this.quantized.set(x, rows);
    }
    return rows;
  }

  /** x·Wᵀ (+ bias + residual) with the weight `name.weight` [out, in] and, if asked, `name.bias`. */
  linear(x: Tensor, name: string, out: number, options: { bias?: boolean; residual?: Tensor } = {}): Tensor {
    const inner = x.shape[x.shape.length - 1] as number;
    const w = this.weight(`${name}.weight`, [out, inner]);
    const bias = options.bias ? this.weight(`${name}.bias`, [out]) : null;
    const { residual = null } = options;
    return takesQuantized(w)
      ? linearQuantized(this.quantize(x), w, { bias, residual })
      : linear(x, w, { bias, residual });
  }
}
