// A deterministic source of awkward text and a small trained vocabulary, for tests; not part of the library.

import { tokenizerFromHuggingFace } from "./huggingface.ts";
import type { VocabularyTokenizer } from "./tokenizer.ts";
import { tokenizerConfigJson, tokenizerJson, trainByteLevel } from "./train.ts";

/** Random numbers in [0, 1) from a seed (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t = (t + Math.imul(t ^ (t >>> 7), t | 61)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

const SCRAPS =
  "a|b|the|Hello| world|'s|'S|'ll|'RE|'ſ|'|don't|  |   |\t|\n|\r\n|\n\n|\u0085|\u00a0|\u2028|\u3000|\ufeff|0|12|345|6789|½|Ⅷ|٣|中|中国|人民共和国|，|。|堰|ぁ|゛|・|ー|゙|\u3040|カタカナ|한국|ü|é|e\u0301|ñ|Ж|нещо|ខ្មែរ|ว่า|🦙|😶‍🌫️|𝒳|𐐀|\u0000|\u0001|\u007f|\u200b|\ue000|\u{10ffff}|!|!!|?!|...|=|------|$|<|>|</think>|<｜User｜>|｜|▁|#|`|_|A1b2|x+y=3|https://a.b/c?d=e".split(
    "|",
  );

/** A text of up to `most` scraps of every script, mark and kind of white space that pre-tokenizers tell apart. */
export function awkwardText(random: () => number, most = 12): string {
  let out = "";
  for (let n = Math.floor(random() * (most + 1)); n > 0; n--) {
    out += random() < 0.9 ? SCRAPS[Math.floor(random() * SCRAPS.length)] : anyCharacter(random);
  }
  return out;
}

function anyCharacter(random: () => number): string {
  const point = Math.floor(random() * (random() < 0.5 ? 0x3000 : 0x20000));
  return point >= 0xd800 && point <= 0xdfff ? "x" : String.fromCodePoint(point);
}

const PROSE = [
  "The river Min is tamed at Dujiangyan by a low weir, not by a wall. 都江堰用低矮的堰驯服岷江，而不是用高墙。",
  "深淘滩，低作堰。遇湾截角，逢正抽心。 Dig the bed deep, build the weir low; cut corners at bends, dredge the middle of straights.",
  "Question: what is 12 + 345? Answer: 12 + 345 = 357. 问题：十二加三百四十五等于多少？答案：三百五十七。",
  "for (let i = 0; i < 10; i++) {\n  console.log(i, 'line');\n}\n",
];

let small: VocabularyTokenizer | undefined;

/** A vocabulary of 500 tokens trained on a few lines of our own, read back from its tokenizer.json. */
export function smallTokenizer(): VocabularyTokenizer {
  if (small) return small;
  const vocabulary = trainByteLevel(Array(3).fill(PROSE).flat(), { vocabSize: 500, singleDigits: true });
  return (small = tokenizerFromHuggingFace({
    tokenizer: JSON.parse(JSON.stringify(tokenizerJson(vocabulary))),
    config: tokenizerConfigJson(vocabulary),
  }));
}
