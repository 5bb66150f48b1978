// `weir eval`: a model's figures on data, with intervals.
import { parseArgs } from "node:util";
import { exactMatch, perplexity } from "../../train/evaluate.ts";
import { readRows } from "../../train/rows.ts";
import { type Command, UsageError } from "../command.ts";

const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;

const command: Command = {
  summary: "evaluate a model: perplexity, exact match, pass@k / 评测：困惑度、完全匹配、pass@k",
  usage: `Usage: weir eval MODEL --task perplexity|exact --data FILE [options]

perplexity: of texts, or of the answers in conversations; also in bits per byte.
exact:      rows {prompt, answer}: the last \\boxed{…}, else the text after the thinking, must equal the answer;
            with Wilson's 95 % interval, and pass@k where there are several samples.

  --samples N        answers per problem (default 1)
  --temperature X    default 0, or 1 with several samples
  --max-tokens N     most tokens of an answer (default 512)
  --seed N           of the sampling (default 1)
  --limit N          the first N rows only
  --json             one JSON object instead of text`,
  async run(args) {
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: {
        task: { type: "string" },
        data: { type: "string" },
        samples: { type: "string", default: "1" },
        temperature: { type: "string" },
        "max-tokens": { type: "string", default: "512" },
        seed: { type: "string", default: "1" },
        limit: { type: "string" },
        json: { type: "boolean" },
      },
    });
    const [model] = positionals;
    if (model === undefined || values.data === undefined) throw new UsageError("give a MODEL and --data FILE");
    const whole = (name: string, text: string): number => {
      if (!/^[1-9]\d{0,8}$/.test(text))
        throw new UsageError(`--${name} must be a positive whole number, not '${text}'`);
      return Number(text);
    };
    const read = readRows(values.data);
    if (read.broken.length > 0)
      console.error(`${values.data}: ${read.broken.length} broken rows are left out (weir data check shows them)`);
    const rows = values.limit === undefined ? read.rows : read.rows.slice(0, whole("limit", values.limit));
    if (values.task === "perplexity") {
      const result = await perplexity(model, rows);
      if (values.json) console.log(JSON.stringify(result));
      else
        console.log(
          `perplexity ${result.perplexity.toFixed(3)}, ${result.nats.toFixed(4)} nats per token, ${result.bitsPerByte.toFixed(4)} bits per byte over ${result.tokens} tokens of ${result.documents} documents (data ${result.fingerprint})`,
        );
      return 0;
    }
    if (values.task !== "exact") throw new UsageError(`--task must be perplexity or exact, not '${values.task ?? ""}'`);
    const samples = whole("samples", values.samples);
    const temperature = Number(values.temperature ?? (samples > 1 ? 1 : 0));
    if (!(temperature >= 0)) throw new UsageError(`--temperature must be 0 or more, not '${values.temperature}'`);
    const result = await exactMatch(model, rows, {
      samples,
      temperature,
      maxTokens: whole("max-tokens", values["max-tokens"]),
      seed: whole("seed", values.seed),
    });
    if (values.json) console.log(JSON.stringify(result));
    else {
      const [low, high] = result.interval;
      console.log(
        `${percent(result.accuracy)} right (95 % interval ${percent(low)} to ${percent(high)}) of ${result.problems} problems × ${samples} (data ${result.fingerprint})`,
      );
      for (const [k, value] of Object.entries(result.passAt)) console.log(`pass@${k} ${percent(value)}`);
    }
    return 0;
  },
};
export default command;
