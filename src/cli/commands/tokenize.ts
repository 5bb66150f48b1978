// `weir tokenize`: text to token ids and back, to compare a tokenizer with another implementation.

import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { openGguf } from "../../checkpoint/gguf.ts";
import { ggufVocabulary, tokenizerFromGguf } from "../../text/gguf.ts";
import { type LoadOptions, loadTokenizer } from "../../text/load.ts";
import { PATTERNS, patternNamed } from "../../text/patterns.ts";
import type { Tokenizer } from "../../text/tokenizer.ts";
import { type Command, UsageError } from "../command.ts";

const command: Command = {
  summary: "turn text into token ids, or ids into text / 文本与词元互转",
  usage: `Usage: weir tokenize --tokenizer PATH [--special] [--decode] < INPUT

Reads text from standard input and prints a JSON array of token ids.

  --tokenizer PATH  a model directory, tokenizer.json, GGUF file, .tiktoken or .tiktoken.gz file, or tokenizer.bin
  --special         recognise special tokens (such as <｜User｜>) in the text; without it they are ordinary text
  --decode          read a JSON array of ids and print their text, special tokens included

For .tiktoken files, which hold neither pattern nor special tokens:
  --pattern NAME    the pre-tokenizer: ${Object.keys(PATTERNS).join(", ")} (default deepseek-v3)
  --table NAME      which overrides of NAME-special.json beside the file to apply (default v4)`,
  async run(args) {
    const { values } = parseArgs({
      args,
      options: {
        tokenizer: { type: "string" },
        special: { type: "boolean" },
        decode: { type: "boolean" },
        pattern: { type: "string" },
        table: { type: "string" },
      },
    });
    if (values.tokenizer === undefined) throw new UsageError("--tokenizer PATH is missing");
    const pattern = values.pattern === undefined ? undefined : patternNamed(values.pattern);
    const tokenizer = open(values.tokenizer, { pattern, table: values.table });
    const input = new TextDecoder("utf-8", { ignoreBOM: true }).decode(readFileSync(0));
    if (values.decode) process.stdout.write(tokenizer.decode(readIds(input)));
    else console.log(JSON.stringify([...tokenizer.encode(input, { parseSpecial: values.special })]));
    return 0;
  },
};
export default command;

function open(path: string, options: LoadOptions): Tokenizer {
  if (!path.endsWith(".gguf")) return loadTokenizer(path, options);
  const file = openGguf(path);
  try {
    return tokenizerFromGguf(ggufVocabulary((key) => file.metadata.get(key)?.value));
  } finally {
    file.close();
  }
}

function readIds(input: string): number[] {
  let ids: unknown;
  try {
    ids = JSON.parse(input);
  } catch {
    throw new UsageError("--decode reads a JSON array of ids, such as [1, 2, 3], from standard input");
  }
  if (!Array.isArray(ids) || !ids.every((id) => Number.isInteger(id))) {
    throw new UsageError("--decode reads a JSON array of whole numbers from standard input");
  }
  return ids;
}
