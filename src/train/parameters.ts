// A model's weights in memory, shared by training, rollouts and evaluation: made fresh or read from a checkpoint, under the names
// and shapes that programs use (experts stacked).
import type { ModelConfig } from "../checkpoint/config.ts";
import type { ModelContext } from "../model/context.ts";
import { loadParameter, type TensorSource } from "../model/weights.ts";
import type { Device, DeviceBuffer } from "../tensor/device.ts";

/** Buffers by parameter name; what bindings of programs take. */
export type Parameters = Record<string, DeviceBuffer>;

/** Standard normal numbers from a seed (xorshift128+ seeded by splitmix; Box–Muller), the same everywhere. */
export function gaussians(seed: number): () => number {
  let state = (seed ^ 0x9e3779b9) >>> 0;
  const next = (): number => {
    state = (state + 0x9e3779b9) >>> 0;
    let z = state;
    z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
    return ((z ^ (z >>> 15)) >>> 0) / 2 ** 32;
  };
  let spare: number | undefined;
  return () => {
    if (spare !== undefined) {
      const value = spare;
      spare = undefined;
      return value;
    }
    const radius = Math.sqrt(-2 * Math.log(1 - next()));
    const angle = 2 * Math.PI * next();
    spare = radius * Math.sin(angle);
    return radius * Math.cos(angle);
  };
}

const hash = (text: string): number => {
  let h = 2166136261;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 16777619);
  return h >>> 0;
};

/**
 * Fresh weights: matrices normal with standard deviation `initializer_range`, those that write into the residual stream smaller by
 * √(2·layers) (GPT-2), norms 1, biases 0. Each tensor's numbers depend on the seed and its own name only.
 */
export function initialValues(name: string, shape: readonly number[], config: ModelConfig, seed: number): Float32Array {
  const values = new Float32Array(shape.reduce((product, d) => product * d, 1));
  if (/norm(\.weight)?$|norm\.weight$|layernorm\.weight$/.test(name)) return values.fill(1);
  if (shape.length < 2) return values;
  const residual = /(o_proj|down_proj|wo_b|w2)\.weight$/.test(name);
  const deviation = config.initializerRange / (residual ? Math.sqrt(2 * config.numHiddenLayers) : 1);
  const normal = gaussians(seed ^ hash(name));
  for (let i = 0; i < values.length; i++) values[i] = deviation * normal();
  return values;
}

/** Buffers for every parameter of a built model: from `source` where given, else fresh; constants as the context made them. */
export function makeParameters(
  device: Device,
  context: ModelContext,
  from: { source: TensorSource } | { seed: number },
): Parameters {
  const parameters: Parameters = {};
  for (const [name, tensor] of context.parameters) {
    const shape = tensor.shape as number[];
    const constant = context.constants.get(name);
    const values =
      constant ??
      ("source" in from
        ? loadParameter(from.source, name, shape)
        : initialValues(name, shape, context.config, from.seed));
    parameters[name] = device.buffer(tensor.dtype, shape, values);
  }
  return parameters;
}
