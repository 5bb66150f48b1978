// `weir data check`: what a training file holds, which rows are wrong and why, what is learnt of it.
import { parseArgs } from "node:util";
import { openCheckpoint } from "../../checkpoint/model-directory.ts";
import { languageOf } from "../../engine/open.ts";
import { chatFormatNamed } from "../../text/chat/select.ts";
import { loadTokenizer } from "../../text/load.ts";
import { inspectRows, showRow } from "../../train/inspect-data.ts";
import { readRows } from "../../train/rows.ts";
import { type Command, UsageError } from "../command.ts";

const command: Command = {
  summary: "check training data / 检查训练数据",
  usage: `Usage: weir data check FILE… --model MODEL [--samples N]
       weir data check FILE… --tokenizer DIR --chat-format NAME [--samples N]

Reads each FILE (JSON Lines or a JSON list, may be gzipped) with rows {text}, {messages}, {prompt, answer}, Alpaca's
{instruction, input, output} or ShareGPT's {conversations}, and shows: layouts, tokens, lengths, duplicates, broken rows
with the reason, and N samples (default 3) as the model sees them, what is learnt marked. Exit code 1 where a row is broken.`,
  async run(args) {
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: {
        model: { type: "string" },
        tokenizer: { type: "string" },
        "chat-format": { type: "string" },
        samples: { type: "string" },
      },
    });
    const [action, ...files] = positionals;
    if (action !== "check") throw new UsageError(`'${action ?? ""}' is no action of weir data; there is: check`);
    if (files.length === 0) throw new UsageError("no FILE to check");
    if ((values.model === undefined) === (values.tokenizer === undefined))
      throw new UsageError("give either --model or --tokenizer");
    const samples = Number(values.samples ?? 3);
    if (!Number.isInteger(samples) || samples < 0)
      throw new UsageError(`--samples must be a whole number, not ${values.samples}`);
    const of = values.model === undefined ? undefined : languageOf(openCheckpoint(values.model));
    const tokenizer = of?.tokenizer ?? loadTokenizer(values.tokenizer!);
    const named = values["chat-format"];
    const chat = named === undefined ? of?.chat : chatFormatNamed(named);
    let wrong = 0;
    for (const file of files) {
      const rows = readRows(file);
      const report = inspectRows(rows, tokenizer, chat);
      const layouts = [...rows.layouts].map(([name, n]) => `${n} ${name}`).join(", ");
      const [least, middle, ninth, most] = report.lengths;
      console.log(`${file}: ${rows.rows.length} rows (${layouts || "none"})`);
      console.log(`  ${report.tokens} tokens, ${report.learnt} of them learnt`);
      console.log(`  lengths: ${least} shortest, ${middle} median, ${ninth} ninth decile, ${most} longest`);
      const repeated = report.duplicates
        .slice(0, 5)
        .map(([row, earlier]) => `${row} = ${earlier}`)
        .join(", ");
      console.log(`  ${report.duplicates.length} duplicates${repeated === "" ? "" : ` (rows ${repeated})`}`);
      const broken = [...rows.broken, ...report.refused].sort((a, b) => a.row - b.row);
      wrong += broken.length;
      for (const { row, reason } of broken.slice(0, 20)) console.log(`  row ${row}: ${reason}`);
      if (broken.length > 20) console.log(`  and ${broken.length - 20} more broken rows`);
      const bad = new Set(report.refused.map(({ row }) => row));
      rows.rows
        .filter((_, i) => !bad.has(rows.numbers[i]))
        .slice(0, samples)
        .forEach((row, i) => {
          console.log(`  --- sample ${i + 1}\n${showRow(row, tokenizer, chat, process.stdout.isTTY === true)}`);
        });
    }
    return wrong > 0 ? 1 : 0;
  },
};
export default command;
