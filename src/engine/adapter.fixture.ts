// PEFT directories of random factors, as training tools write them.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { writeSafetensors } from "../checkpoint/safetensors.ts";
import { seeded } from "../text/text.fixture.ts";

/** Linear layers by name. */
export type Shapes = Record<string, [out: number, inner: number]>;

export const RANK = 2;
export const ALPHA = 6;

export interface Factor {
  name: string;
  out: number;
  inner: number;
  a: Float32Array;
  b: Float32Array;
}

export function factorsOf(seed: number, layers: Shapes): Factor[] {
  const random = seeded(seed);
  const numbers = (n: number): Float32Array => Float32Array.from({ length: n }, () => random() - 0.5);
  return Object.entries(layers).map(([name, [out, inner]]) => ({
    name,
    out,
    inner,
    a: numbers(RANK * inner),
    b: numbers(out * RANK),
  }));
}

export function writeAdapter(directory: string, factors: Factor[], config: Record<string, unknown> = {}): string {
  mkdirSync(directory, { recursive: true });
  const bytes = (values: Float32Array): Uint8Array => new Uint8Array(values.buffer);
  writeSafetensors(
    join(directory, "adapter_model.safetensors"),
    factors.flatMap(({ name, out, inner, a, b }) => [
      { name: `base_model.model.${name}.lora_A.weight`, dtype: "F32", shape: [RANK, inner], read: () => bytes(a) },
      { name: `base_model.model.${name}.lora_B.weight`, dtype: "F32", shape: [out, RANK], read: () => bytes(b) },
    ]),
  );
  const settings = { peft_type: "LORA", r: RANK, lora_alpha: ALPHA, ...config };
  writeFileSync(join(directory, "adapter_config.json"), JSON.stringify(settings));
  return directory;
}
