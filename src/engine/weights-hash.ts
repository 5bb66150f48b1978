// Which weights a model has, as one hash: receipts name it, and prefixes on disk are found by it. And the samples of large files.
import { createHash, type Hash } from "node:crypto";
import type { Checkpoint, Stretch } from "../checkpoint/checkpoint.ts";

/** Models up to this many bytes are read whole. */
const WHOLE_BYTES = 64 * 2 ** 20;
const BLOCK = 4096;
/** Blocks of each tensor of a larger model; fewer, but at least one, where there are thousands of tensors. */
const MOST_BLOCKS = 4;
const ALL_BLOCKS = 4096;
const PIECE = 2 ** 20;

function hashWhole(hash: Hash, { source, offset, bytes }: Stretch): void {
  const piece = new Uint8Array(Math.min(PIECE, bytes));
  for (let at = 0; at < bytes; at += PIECE) {
    const part = piece.subarray(0, Math.min(PIECE, bytes - at));
    source.readInto(offset + at, part);
    hash.update(part);
  }
}

/** `count` blocks in the middles of as many equal parts; all of a stretch that is no longer than they are. */
export function hashSample(hash: Hash, stretch: Stretch, count: number): void {
  const { source, offset, bytes } = stretch;
  if (bytes <= count * BLOCK) {
    hashWhole(hash, stretch);
    return;
  }
  const block = new Uint8Array(BLOCK);
  for (let i = 0; i < count; i++) {
    source.readInto(offset + Math.floor(((i + 0.5) / count) * (bytes - BLOCK)), block);
    hash.update(block);
  }
}

/**
 * SHA-256, in hexadecimal, of the architecture (without fields that nothing computes with), of every tensor's name, type, shape and
 * size, and of the stored bytes as they lie in the files. Up to 64 MiB that is every byte: any change of a weight changes the hash.
 * Of larger models, whose reading would take longer than loading them, it is at least one block of 4 KiB of every stored tensor,
 * each scale included, and at most four, spread: another training run or another quantisation shows, a few numbers changed by hand may
 * not. The same weights stored otherwise have another hash: they round otherwise, too.
 */
export function weightsHash(checkpoint: Checkpoint): string {
  const hash = createHash("sha256");
  const { extra: _, ...architecture } = checkpoint.config;
  hash.update(JSON.stringify(architecture));
  const tensors = checkpoint.tensorNames.map((name) => checkpoint.info(name));
  const whole = tensors.reduce((sum, { bytes }) => sum + bytes, 0) <= WHOLE_BYTES;
  const blocks = Math.max(1, Math.min(MOST_BLOCKS, Math.floor(ALL_BLOCKS / tensors.length)));
  for (const { name, dtype, shape, bytes, stored } of tensors) {
    hash.update(`${name} ${dtype} ${shape} ${bytes}\n`);
    for (const stretch of stored) {
      if (whole) hashWhole(hash, stretch);
      else hashSample(hash, stretch, blocks);
    }
  }
  return hash.digest("hex");
}
