// What every layer knows of a tokenizer, and the parts all kinds share: the table of tokens, added tokens, special ids,
// decoding whole and piece by piece. How ordinary text becomes ids is in bpe.ts and sentencepiece.ts.

import { type AddedToken, AddedTokens, type LiteralRanges } from "./added.ts";
import { TextError } from "./errors.ts";

export interface EncodeOptions {
  /** Put the begin token in front (and the end token behind) where the vocabulary asks for it; never a second one. */
  addSpecial?: boolean;
  /** Read the texts of control tokens (`<｜User｜>`, `<think>`) as those tokens instead of as ordinary text. */
  parseSpecial?: boolean;
  /** With `parseSpecial`: ranges of the text, such as a user's words, in which control tokens stay ordinary text. */
  literal?: LiteralRanges;
}

export interface DecodeOptions {
  /** Leave control tokens out. */
  skipSpecial?: boolean;
}

/** Turns a sequence of ids into text piece by piece; what it has returned always ends with a whole character. */
export interface StreamDecoder {
  push(id: number): string;
  /** What is left: an unfinished character becomes U+FFFD, as in whole decoding. */
  end(): string;
}

export interface SpecialIds {
  bos?: number;
  eos?: number;
  pad?: number;
  unk?: number;
  /** Every id that ends a turn, `eos` first. */
  eot: number[];
  /** Whether the begin and end tokens belong around a text. */
  addBos: boolean;
  addEos: boolean;
}

export interface Tokenizer {
  /** One more than the highest id. */
  readonly vocabSize: number;
  readonly special: SpecialIds;
  encode(text: string, options?: EncodeOptions): Int32Array;
  decode(ids: ArrayLike<number>, options?: DecodeOptions): string;
  streamDecoder(options?: DecodeOptions): StreamDecoder;
  /** The id of a token as the vocabulary spells it (byte-level ones in GPT-2's alphabet: `Ġthe`). */
  idOf(token: string): number | undefined;
  tokenOf(id: number): string;
  /** The bytes that the token stands for in text. */
  bytesOf(id: number): Uint8Array;
  /** Whether the token steers the model and is no text: turn marks, `<think>`. */
  isControl(id: number): boolean;
  readonly addedTokens: readonly AddedToken[];
}

/** A growing list of ids. */
export class IdSink {
  ids = new Int32Array(1024);
  count = 0;

  push(id: number): void {
    if (this.count === this.ids.length) this.reserve(1);
    this.ids[this.count++] = id;
  }

  /** Makes room for `extra` more ids. */
  reserve(extra: number): void {
    if (this.count + extra <= this.ids.length) return;
    const larger = new Int32Array(Math.max(this.ids.length * 2, this.count + extra));
    larger.set(this.ids.subarray(0, this.count));
    this.ids = larger;
  }
}

/** How ordinary text, free of added tokens, becomes ids. */
export interface OrdinaryEncoder {
  /** `first`: the text stands at the start or right after a control token. */
  encode(text: string, sink: IdSink, first: boolean): void;
}

export interface VocabularyParts {
  /** One more than the highest id that is not an added token's. */
  count: number;
  /** The token as the vocabulary spells it; ids without a token are undefined. */
  spelling(id: number): string | undefined;
  /** The bytes a token stands for. */
  bytes(id: number): Uint8Array;
  added: AddedToken[];
  special: SpecialIds;
  encoder: OrdinaryEncoder;
  /** Whether decoding drops one space at the very start, which encoding had put there. */
  dropsLeadingSpace?: boolean;
  normalize?: (text: string) => string;
}

const NO_BYTES = new Uint8Array(0);

/** The tokenizer over one vocabulary. */
export class VocabularyTokenizer implements Tokenizer {
  readonly vocabSize: number;
  readonly special: SpecialIds;
  private readonly parts: VocabularyParts;
  private readonly added: AddedTokens;
  private readonly control: Uint8Array;
  private byToken: Map<string, number> | undefined;
  private readonly addedBytes = new Map<number, Uint8Array>();
  private readonly addedContent = new Map<number, string>();

  constructor(parts: VocabularyParts) {
    this.parts = parts;
    this.special = parts.special;
    this.added = new AddedTokens(parts.added);
    let top = parts.count;
    for (const token of parts.added) top = Math.max(top, token.id + 1);
    this.vocabSize = top;
    this.control = new Uint8Array(top);
    for (const { id, content, control } of parts.added) {
      if (control) this.control[id] = 1;
      this.addedBytes.set(id, new TextEncoder().encode(content));
      this.addedContent.set(id, content);
    }
    for (const id of [parts.special.bos, parts.special.eos, parts.special.pad]) {
      if (id === undefined) continue;
      if (!Number.isInteger(id) || id < 0 || id >= top) {
        throw new TextError(`a special token has id ${id}, but the vocabulary ends at ${top - 1}`);
      }
    }
  }

  get addedTokens(): readonly AddedToken[] {
    return this.added.tokens;
  }

  encode(text: string, options: EncodeOptions = {}): Int32Array {
    const sink = new IdSink();
    const { special } = this;
    const matches = this.added.find(text, options.parseSpecial ?? false, options.literal);
    const startsWithBos = matches.length > 0 && matches[0].start === 0 && matches[0].id === special.bos;
    if (options.addSpecial && special.addBos && special.bos !== undefined && !startsWithBos) sink.push(special.bos);
    let at = 0;
    let first = true;
    for (const match of matches) {
      if (match.start > at) {
        this.encodeOrdinary(text.slice(at, match.start), sink, first);
      }
      sink.push(match.id);
      first = this.isControl(match.id);
      at = match.end;
    }
    if (at < text.length) this.encodeOrdinary(at === 0 ? text : text.slice(at), sink, first);
    const last = sink.count > 0 ? sink.ids[sink.count - 1] : undefined;
    if (options.addSpecial && special.addEos && special.eos !== undefined && last !== special.eos)
      sink.push(special.eos);
    return sink.ids.slice(0, sink.count);
  }

  private encodeOrdinary(text: string, sink: IdSink, first: boolean): void {
    const { normalize, encoder } = this.parts;
    encoder.encode(normalize ? normalize(text) : text, sink, first);
  }

  decode(ids: ArrayLike<number>, options: DecodeOptions = {}): string {
    const chunks: Uint8Array[] = [];
    let length = 0;
    for (let i = 0; i < ids.length; i++) {
      if (options.skipSpecial && this.isControl(ids[i])) continue;
      const bytes = this.bytesOf(ids[i]);
      chunks.push(bytes);
      length += bytes.length;
    }
    const all = new Uint8Array(length);
    let at = 0;
    for (const chunk of chunks) {
      all.set(chunk, at);
      at += chunk.length;
    }
    const text = new TextDecoder("utf-8", { ignoreBOM: true }).decode(all);
    return this.dropsSpace(ids, options) && text.startsWith(" ") ? text.slice(1) : text;
  }

  /** The leading space belongs to the encoding only if the text starts with an ordinary token. */
  private dropsSpace(ids: ArrayLike<number>, options: DecodeOptions): boolean {
    if (!this.parts.dropsLeadingSpace) return false;
    let i = 0;
    while (i < ids.length && options.skipSpecial && this.isControl(ids[i])) i++;
    return i < ids.length && !this.isControl(ids[i]);
  }

  streamDecoder(options: DecodeOptions = {}): StreamDecoder {
    const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
    // Undecided until the first token that shows, then whether a space at the start is still to be dropped.
    let drop = this.parts.dropsLeadingSpace ? undefined : false;
    const out = (text: string): string => {
      if (drop === true && text !== "") {
        drop = false;
        return text.startsWith(" ") ? text.slice(1) : text;
      }
      return text;
    };
    return {
      push: (id) => {
        if (options.skipSpecial && this.isControl(id)) return "";
        drop ??= !this.isControl(id);
        return out(decoder.decode(this.bytesOf(id), { stream: true }));
      },
      end: () => out(decoder.decode()),
    };
  }

  idOf(token: string): number | undefined {
    if (this.byToken === undefined) {
      this.byToken = new Map();
      for (let id = 0; id < this.parts.count; id++) {
        const known = this.parts.spelling(id);
        if (known !== undefined && !this.byToken.has(known)) this.byToken.set(known, id);
      }
      for (const { content, id } of this.parts.added) this.byToken.set(content, id);
    }
    return this.byToken.get(token);
  }

  tokenOf(id: number): string {
    this.check(id);
    return this.addedContent.get(id) ?? this.parts.spelling(id) ?? "";
  }

  bytesOf(id: number): Uint8Array {
    this.check(id);
    const added = this.addedBytes.get(id);
    if (added) return added;
    return id < this.parts.count ? this.parts.bytes(id) : NO_BYTES;
  }

  isControl(id: number): boolean {
    return this.control[id] === 1;
  }

  private check(id: number): void {
    if (!Number.isInteger(id) || id < 0 || id >= this.vocabSize) {
      throw new TextError(`token id ${id} is outside the vocabulary (0 to ${this.vocabSize - 1})`);
    }
  }
}
