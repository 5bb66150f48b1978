// SentencePiece-style vocabularies with scores and byte fallback: GGUF `llama` models and llama2.c's tokenizer.bin.
// Characters are joined pair by pair, the highest-scoring token first; what is no token falls back to its bytes.

import type { AddedToken } from "./added.ts";
import { MAX_TOKENS } from "./byte-level.ts";
import { TextError } from "./errors.ts";
import { type IdSink, type OrdinaryEncoder, type SpecialIds, VocabularyTokenizer } from "./tokenizer.ts";

const SPACE = "▁";
const UNKNOWN = 2;
const CONTROL = 3;
const UNUSED = 5;
const BYTE = 6;

export interface SentencePieceParts {
  /** Tokens with `▁` for a space; bytes as `<0x0A>`. */
  tokens: readonly string[];
  scores: ArrayLike<number>;
  tokenTypes?: ArrayLike<number>;
  added: AddedToken[];
  special: SpecialIds;
  /** Whether a space goes before the text. */
  spacePrefix: boolean;
}

export function sentencePieceTokenizer(parts: SentencePieceParts): VocabularyTokenizer {
  const { tokens, special } = parts;
  const added = parts.added.filter((token) => token.content !== "");
  for (const id of [special.bos, special.eos, special.unk]) {
    if (id !== undefined && tokens[id] !== undefined && !added.some((token) => token.id === id)) {
      added.push({ id, content: tokens[id], control: true });
    }
  }
  return new VocabularyTokenizer({
    count: tokens.length,
    spelling: (id) => tokens[id],
    bytes: (id) => {
      const byte = byteToken(tokens[id]);
      return byte === undefined ? new TextEncoder().encode(tokens[id].replaceAll(SPACE, " ")) : Uint8Array.of(byte);
    },
    added,
    special,
    encoder: new SentencePieceEncoder(parts),
    dropsLeadingSpace: parts.spacePrefix,
  });
}

function byteToken(token: string): number | undefined {
  const found = /^<0x([0-9A-Fa-f]{2})>$/.exec(token);
  return found ? Number.parseInt(found[1], 16) : undefined;
}

class SentencePieceEncoder implements OrdinaryEncoder {
  private readonly ids = new Map<string, number>();
  private readonly byteIds = new Int32Array(256).fill(-1);
  private readonly parts: SentencePieceParts;

  constructor(parts: SentencePieceParts) {
    this.parts = parts;
    const { tokens, tokenTypes } = parts;
    tokens.forEach((token, id) => {
      const type = tokenTypes?.[id];
      const byte = byteToken(token);
      if (byte !== undefined && (type === undefined || type === BYTE)) this.byteIds[byte] = id;
      else if (type !== CONTROL && type !== UNKNOWN && type !== UNUSED && !this.ids.has(token)) this.ids.set(token, id);
    });
  }

  encode(text: string, sink: IdSink, first: boolean): void {
    if (text === "") return;
    const marked = (this.parts.spacePrefix && first ? SPACE : "") + text.toWellFormed().replaceAll(" ", SPACE);
    const symbols = [...marked];
    const count = symbols.length;
    const next = Int32Array.from(symbols, (_, i) => i + 1);
    const previous = Int32Array.from(symbols, (_, i) => i - 1);
    const alive = new Uint8Array(count).fill(1);
    const queue = new BestFirst();
    const look = (left: number) => {
      const right = next[left];
      if (left < 0 || right >= count) return;
      const joined = symbols[left] + symbols[right];
      const id = this.ids.get(joined);
      if (id !== undefined) queue.push(this.parts.scores[id], left, joined.length);
    };
    for (let i = 0; i + 1 < count; i++) look(i);
    for (let best = queue.pop(); best !== undefined; best = queue.pop()) {
      const { left, length } = best;
      if (!alive[left]) continue;
      const right = next[left];
      // Either side has grown since this pair was queued.
      if (right >= count || symbols[left].length + symbols[right].length !== length) continue;
      symbols[left] += symbols[right];
      alive[right] = 0;
      next[left] = next[right];
      if (next[left] < count) previous[next[left]] = left;
      if (previous[left] >= 0) look(previous[left]);
      look(left);
    }
    for (let i = 0; i < count; i = next[i]) this.emit(symbols[i], sink);
  }

  private emit(symbol: string, sink: IdSink): void {
    const id = this.ids.get(symbol);
    if (id !== undefined) {
      sink.push(id);
      return;
    }
    for (const byte of new TextEncoder().encode(symbol)) {
      const byteId = this.byteIds[byte];
      if (byteId >= 0) sink.push(byteId);
      else if (this.parts.special.unk !== undefined) sink.push(this.parts.special.unk);
    }
  }
}

interface Candidate {
  score: number;
  left: number;
  length: number;
}

/** A heap: highest score first, the leftmost of equals. */
class BestFirst {
  private readonly heap: Candidate[] = [];

  push(score: number, left: number, length: number): void {
    const { heap } = this;
    const item = { score, left, length };
    let i = heap.length;
    while (i > 0) {
      const up = (i - 1) >> 1;
      if (!before(item, heap[up])) break;
      heap[i] = heap[up];
      i = up;
    }
    heap[i] = item;
  }

  pop(): Candidate | undefined {
    const { heap } = this;
    const top = heap[0];
    const last = heap.pop();
    if (heap.length === 0 || last === undefined) return top;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && before(heap[child + 1], heap[child])) child++;
      if (!before(heap[child], last)) break;
      heap[i] = heap[child];
      i = child;
    }
    heap[i] = last;
    return top;
  }
}

function before(a: Candidate, b: Candidate): boolean {
  return a.score > b.score || (a.score === b.score && a.left < b.left);
}

/**
 * Reads llama2.c's tokenizer.bin: u32 longest token, then per token f32 score, u32 byte length, bytes. Ids 0 to 2 are
 * unknown, begin and end; the file has real spaces and no token types.
 */
export function tokenizerFromLlama2c(file: Uint8Array): VocabularyTokenizer {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  if (file.byteLength < 4) throw new TextError("tokenizer.bin: the file is too short for its header");
  const longest = view.getUint32(0, true);
  const tokens: string[] = [];
  const scores: number[] = [];
  for (let at = 4; at < file.byteLength; ) {
    if (at + 8 > file.byteLength) throw new TextError(`tokenizer.bin: token ${tokens.length} is cut off at byte ${at}`);
    const score = view.getFloat32(at, true);
    const length = view.getUint32(at + 4, true);
    at += 8;
    if (length > longest || at + length > file.byteLength || tokens.length >= MAX_TOKENS) {
      throw new TextError(
        `tokenizer.bin: token ${tokens.length} claims ${length} bytes at byte ${at}, which cannot be`,
      );
    }
    const text = new TextDecoder("utf-8", { ignoreBOM: true }).decode(file.subarray(at, at + length));
    at += length;
    tokens.push(text.replaceAll(" ", SPACE));
    scores.push(score);
  }
  if (tokens.length < 3) throw new TextError("tokenizer.bin: fewer than three tokens");
  // The begin and end tokens are stored with newlines around them.
  for (const id of [1, 2]) tokens[id] = tokens[id].trim();
  return sentencePieceTokenizer({
    tokens,
    scores,
    tokenTypes: tokens.map((token, id) =>
      id === 0 ? UNKNOWN : id < 3 ? CONTROL : byteToken(token) !== undefined ? BYTE : 1,
    ),
    added: [],
    special: { bos: 1, eos: 2, unk: 0, eot: [2], addBos: true, addEos: false },
    spacePrefix: true,
  });
}
