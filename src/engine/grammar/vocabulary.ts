// A vocabulary as a tree of bytes, and the mask of tokens that an automaton's state allows: the tree is walked once per state.
import type { Tokenizer } from "../../text/tokenizer.ts";
import type { TokenMask } from "../sequence.ts";
import type { Automaton, State } from "./automaton.ts";

/** Tokens in the order of their bytes; node i is followed by its subtree, which ends before `end[i]`. */
export class Vocabulary {
  readonly size: number;
  /** Bytes that are tokens of their own: what can always be written. */
  readonly alphabet = new Uint8Array(256);
  readonly ends: readonly number[];
  readonly tokenizer: Tokenizer;
  private readonly byte: Uint8Array;
  private readonly depth: Uint16Array;
  private readonly end: Int32Array;
  /** First token spelled by the node's path, or -1; `same` links further ones. */
  private readonly token: Int32Array;
  private readonly same: Int32Array;

  constructor(tokenizer: Tokenizer) {
    this.tokenizer = tokenizer;
    this.size = tokenizer.vocabSize;
    this.ends = tokenizer.special.eot;
    const ends = new Set(this.ends);
    const entries: { id: number; bytes: Uint8Array }[] = [];
    let nodes = 0;
    for (let id = 0; id < this.size; id++) {
      if (ends.has(id) || tokenizer.isControl(id)) continue;
      const bytes = tokenizer.bytesOf(id);
      if (bytes.length === 0) continue;
      if (bytes.length === 1) this.alphabet[bytes[0]] = 1;
      nodes += bytes.length;
      entries.push({ id, bytes });
    }
    entries.sort((a, b) => Buffer.compare(a.bytes, b.bytes));
    this.byte = new Uint8Array(nodes);
    this.depth = new Uint16Array(nodes);
    this.end = new Int32Array(nodes);
    this.token = new Int32Array(nodes).fill(-1);
    this.same = new Int32Array(this.size).fill(-1);
    const path: number[] = [];
    let previous: Uint8Array = new Uint8Array(0);
    let count = 0;
    for (const { id, bytes } of entries) {
      let shared = 0;
      while (shared < bytes.length && shared < previous.length && bytes[shared] === previous[shared]) shared++;
      while (path.length > shared) this.end[path.pop()!] = count;
      for (let i = shared; i < bytes.length; i++) {
        this.byte[count] = bytes[i];
        this.depth[count] = i;
        path.push(count++);
      }
      const node = path[path.length - 1];
      this.same[id] = this.token[node];
      this.token[node] = id;
      previous = bytes;
    }
    while (path.length > 0) this.end[path.pop()!] = count;
    this.end = this.end.subarray(0, count);
  }

  /** Bits of the tokens allowed in a state, end tokens included where the answer may end. */
  maskOf(automaton: Automaton, state: State): Int32Array {
    if (state.mask) return state.mask;
    const mask = new Int32Array(Math.ceil(this.size / 32));
    const allow = (id: number): void => {
      mask[id >> 5] |= 1 << (id & 31);
    };
    const { byte, depth, end, token, same } = this;
    const path: State[] = [state];
    for (let i = 0; i < end.length; ) {
      const next = automaton.step(path[depth[i]], byte[i]);
      if (next === null) {
        i = end[i];
        continue;
      }
      path[depth[i] + 1] = next;
      for (let id = token[i]; id >= 0; id = same[id]) allow(id);
      i++;
    }
    for (const id of automaton.tokens(state)) allow(id);
    if (state.accepts) for (const id of this.ends) allow(id);
    state.mask = mask;
    return mask;
  }

  /** The text that can only follow after `state`, as tokens; characters that it would cut in two are left out. */
  demandedAfter(automaton: Automaton, state: State): number[] {
    const bytes: number[] = [];
    for (let at: State | null = state; at && bytes.length < MOST_DEMANDED; ) {
      const byte = automaton.onlyByte(at);
      if (byte === undefined) break;
      bytes.push(byte);
      at = automaton.step(at, byte);
    }
    let end = bytes.length;
    // A lead byte without all of its continuation bytes.
    for (let back = 1; back <= Math.min(4, end); back++) {
      const byte = bytes[end - back];
      if (byte < 0x80) break;
      if (byte < 0xc0) continue;
      const length = byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4;
      if (length > back) end -= back;
      break;
    }
    if (end === 0) return [];
    return Array.from(this.tokenizer.encode(Buffer.from(bytes.slice(0, end)).toString()));
  }
}

/** Bytes of demanded text that are looked ahead. */
const MOST_DEMANDED = 64;

/** The index of the only bit that is set, −1 where there is none or another. */
function onlyBit(mask: Int32Array): number {
  let found = -1;
  for (let word = 0; word < mask.length; word++) {
    const bits = mask[word];
    if (bits === 0) continue;
    if (found >= 0 || (bits & (bits - 1)) !== 0) return -1;
    found = word * 32 + 31 - Math.clz32(bits);
  }
  return found;
}

/** One answer's way through a grammar. */
export class GrammarMask implements TokenMask {
  private readonly automaton: Automaton;
  private readonly vocabulary: Vocabulary;
  /** Null after a token that the grammar did not allow (one forced from outside): the answer can only end. */
  private state: State | null;

  constructor(automaton: Automaton, vocabulary: Vocabulary) {
    this.automaton = automaton;
    this.vocabulary = vocabulary;
    this.state = automaton.start;
  }

  fill(mask: Int32Array): boolean {
    mask.fill(0);
    if (this.state) {
      const bits = this.vocabulary.maskOf(this.automaton, this.state);
      mask.set(bits.length <= mask.length ? bits : bits.subarray(0, mask.length));
    } else for (const id of this.vocabulary.ends) mask[id >> 5] |= 1 << (id & 31);
    return true;
  }

  accept(id: number): void {
    const { automaton, vocabulary } = this;
    const { tokenizer } = vocabulary;
    if (this.state === null || vocabulary.ends.includes(id)) return;
    if (tokenizer.isControl(id)) this.state = automaton.stepToken(this.state, id);
    else for (const byte of tokenizer.bytesOf(id)) if (this.state) this.state = automaton.step(this.state, byte);
  }

  certain(): number | undefined {
    if (!this.state) return undefined;
    if (this.state.only === undefined) this.state.only = onlyBit(this.vocabulary.maskOf(this.automaton, this.state));
    return this.state.only >= 0 ? this.state.only : undefined;
  }

  demanded(): readonly number[] {
    if (!this.state) return [];
    this.state.demanded ??= this.vocabulary.demandedAfter(this.automaton, this.state);
    return this.state.demanded;
  }

  get finished(): boolean {
    return this.state === null || this.state.ends;
  }
}
