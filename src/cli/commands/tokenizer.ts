// `weir tokenizer train`: learns a byte-level vocabulary from text files and writes it for Hugging Face's libraries and Weir.

import { createReadStream, mkdirSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import { createGunzip } from "node:zlib";
import { DEFAULT_SPECIALS, tokenizerConfigJson, tokenizerJson, trainByteLevel } from "../../text/train.ts";
import { type Command, UsageError } from "../command.ts";

const command: Command = {
  summary: "train a vocabulary from text / 训练词表",
  usage: `Usage: weir tokenizer train --vocab-size N --out DIR [options] FILE…

Trains a byte-level BPE vocabulary and writes DIR/tokenizer.json and DIR/tokenizer_config.json.
FILEs are text, or JSON Lines with a "text" field (.jsonl); either may be gzipped (.gz).

  --vocab-size N    tokens in all: special tokens, 256 bytes, and merges
  --out DIR         where to write
  --single-digits   every digit a token of its own
  --special TOKEN   a special token, repeatable, in order: begin, end, pad, others
                    (default: ${DEFAULT_SPECIALS.slice(0, 7).join(" ")} and the tool marks)
  --min-count N     merge only pairs seen at least so often (default 2)`,
  async run(args) {
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: {
        "vocab-size": { type: "string" },
        out: { type: "string" },
        "single-digits": { type: "boolean" },
        special: { type: "string", multiple: true },
        "min-count": { type: "string" },
      },
    });
    const [action, ...files] = positionals;
    if (action !== "train") throw new UsageError(`'${action ?? ""}' is no action of weir tokenizer; there is: train`);
    if (values.out === undefined) throw new UsageError("--out DIR is missing");
    if (files.length === 0) throw new UsageError("no FILE to train from");
    const texts: string[] = [];
    for (const file of files) for await (const text of readTexts(file)) texts.push(text);
    const vocabulary = trainByteLevel(texts, {
      vocabSize: whole("--vocab-size", values["vocab-size"]),
      singleDigits: values["single-digits"],
      specials: values.special,
      minCount: values["min-count"] === undefined ? undefined : whole("--min-count", values["min-count"]),
    });
    mkdirSync(values.out, { recursive: true });
    write(join(values.out, "tokenizer.json"), tokenizerJson(vocabulary));
    write(join(values.out, "tokenizer_config.json"), tokenizerConfigJson(vocabulary));
    console.log(
      `${vocabulary.tokens.length} tokens, ${vocabulary.merges.length} merges: ${join(values.out, "tokenizer.json")}`,
    );
    return 0;
  },
};
export default command;

function whole(name: string, value: string | undefined): number {
  if (value !== undefined && /^[1-9]\d{0,8}$/.test(value)) return Number(value);
  throw new UsageError(
    value === undefined ? `${name} N is missing` : `${name} is '${value}'; a positive whole number was expected`,
  );
}

async function* readTexts(file: string): AsyncGenerator<string> {
  const raw = createReadStream(file);
  const stream = file.endsWith(".gz") ? raw.pipe(createGunzip()) : raw;
  raw.on("error", (error) => stream.destroy(error));
  if (!/\.jsonl(\.gz)?$/.test(file)) {
    let text = "";
    for await (const chunk of stream.setEncoding("utf8")) text += chunk;
    yield text;
    return;
  }
  let number = 0;
  for await (const line of createInterface({ input: stream, crlfDelay: Number.POSITIVE_INFINITY })) {
    number++;
    if (line === "") continue;
    let text: unknown;
    try {
      text = JSON.parse(line)?.text;
    } catch {
      throw new Error(`${file}, line ${number}: not JSON`);
    }
    if (typeof text !== "string") throw new Error(`${file}, line ${number}: no "text" field with text`);
    yield text;
  }
}

function write(path: string, value: unknown): void {
  const temporary = `${path}.${process.pid}.tmp`;
  writeFileSync(temporary, `${JSON.stringify(value, null, 2)}\n`);
  renameSync(temporary, path);
}
