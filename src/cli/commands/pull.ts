// `weir pull`: a model from a hub into a folder, resumable and checked.
import { join } from "node:path";
import { parseArgs } from "node:util";
import { defaultPatterns, pull } from "../../checkpoint/hub.ts";
import type { Command } from "../command.ts";
import { UsageError } from "../command.ts";
import { Progress } from "../progress.ts";

const usage = `Usage: weir pull ORG/NAME [--to DIR] [--endpoint URL] [--revision NAME] [--include PATTERN …]

Downloads a model from a hub that speaks Hugging Face's API. Every file is checked against the hash the hub lists; a download that
was cut off goes on where it stopped when the command is run again.

  --to DIR           default models/NAME
  --endpoint URL     default https://huggingface.co, or the environment's HF_ENDPOINT (a mirror, an own hub)
  --revision NAME    branch, tag or commit; default main
  --include PATTERN  which files, * for any characters; may be given several times (default ${defaultPatterns.join(" ")})

A private model needs the environment variable HF_TOKEN; it is sent to the endpoint only.
`;

const command: Command = {
  summary: "download a model from a hub, resumable and checked / 从模型库下载，可续传并校验",
  usage,
  async run(args) {
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: {
        to: { type: "string" },
        endpoint: { type: "string" },
        revision: { type: "string" },
        include: { type: "string", multiple: true },
      },
    });
    if (positionals.length !== 1) throw new UsageError("give one ORG/NAME");
    const [repository] = positionals;
    const directory = values.to ?? join("models", repository.split("/").at(-1) ?? "model");
    let progress: Progress | undefined;
    const files = await pull(repository, directory, {
      endpoint: values.endpoint,
      revision: values.revision,
      include: values.include,
      token: process.env.HF_TOKEN,
      onStart(found, present) {
        const total = found.reduce((sum, file) => sum + file.size, 0);
        progress = new Progress(repository, { total, start: present });
      },
      onBytes: (count, path) => progress?.add(count, path),
    });
    progress?.end();
    console.log(`${directory}: ${files.length} files, all as the hub lists them`);
    return 0;
  },
};

export default command;
