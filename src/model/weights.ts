// Between a checkpoint's tensors and a program's parameters: experts stacked into one tensor, MLA's kv_b_proj split for absorption,
// and back. Reading files is checkpoint's business, where the values end up the device's.

/** What can give tensors by Hugging Face name; a Checkpoint is one, a Map-backed object another. */
export interface TensorSource {
  has(name: string): boolean;
  /** Row-major float32 values. */
  load(name: string): Float32Array;
}

/** The parts of a stacked parameter in order, or undefined where the name is no stack: `….experts.W.weight` → `….experts.J.W.weight`. */
export function expertNames(name: string, count: number): string[] | undefined {
  const match = /^(.*\.experts)\.([a-z_0-9]+)\.weight$/.exec(name);
  if (!match || /^\d+$/.test(match[2])) return undefined;
  return Array.from({ length: count }, (_, j) => `${match[1]}.${j}.${match[2]}.weight`);
}

const size = (shape: readonly number[]): number => shape.reduce((product, d) => product * d, 1);

/** The values of the parameter `name` [shape] as float32. Throws what the source throws for a tensor that is not there. */
export function loadParameter(source: TensorSource, name: string, shape: readonly number[]): Float32Array {
  if (source.has(name)) return source.load(name);
  const experts = shape.length === 3 ? expertNames(name, shape[0]) : undefined;
  if (experts) {
    const out = new Float32Array(size(shape));
    experts.forEach((part, j) => out.set(source.load(part), j * shape[1] * shape[2]));
    return out;
  }
  const split = /^(.*)\.([kv])_b_proj\.weight$/.exec(name);
  if (split && shape.length === 3) return splitKvB(source, split[1], split[2] as "k" | "v", shape);
  return source.load(name);
}

/**
 * One half of kv_b_proj [heads · (nope + v), latent], whose rows are per head first the key part, then the value part: as
 * k_b_proj [heads, latent, nope] (transposed, so that a query is multiplied row by row) or v_b_proj [heads, v, latent].
 */
function splitKvB(source: TensorSource, at: string, half: "k" | "v", shape: readonly number[]): Float32Array {
  const whole = source.load(`${at}.kv_b_proj.weight`);
  const [heads, a, b] = shape;
  const latent = half === "k" ? a : b;
  const rows = whole.length / latent / heads;
  const out = new Float32Array(size(shape));
  for (let h = 0; h < heads; h++) {
    if (half === "v") {
      out.set(whole.subarray(((h + 1) * rows - a) * latent, (h + 1) * rows * latent), h * a * latent);
      continue;
    }
    for (let l = 0; l < latent; l++)
      for (let i = 0; i < b; i++) out[(h * latent + l) * b + i] = whole[(h * rows + i) * latent + l];
  }
  return out;
}

/** A parameter's values under checkpoint names: stacks taken apart, everything else as it is. */
export function saveParameter(
  name: string,
  shape: readonly number[],
  values: Float32Array,
): { name: string; shape: number[]; values: Float32Array }[] {
  const experts = shape.length === 3 ? expertNames(name, shape[0]) : undefined;
  if (!experts) return [{ name, shape: [...shape], values }];
  const each = shape[1] * shape[2];
  return experts.map((part, j) => ({
    name: part,
    shape: [shape[1], shape[2]],
    values: values.subarray(j * each, (j + 1) * each),
  }));
}
