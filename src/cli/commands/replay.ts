// `weir replay`: computes the answer of a receipt again and says whether it is the same.
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { openModel } from "../../engine/open.ts";
import type { GenerateRequest, Receipt, SamplingParameters } from "../../engine/types.ts";
import { type Command, UsageError } from "../command.ts";
import { MODEL_FLAGS, openOptions } from "../model-options.ts";

/** The request a receipt stands for. Throws UsageError where it is none. */
function requestOf(receipt: Receipt): GenerateRequest {
  const { prompt, parameters, seed } = receipt;
  if (!Array.isArray(prompt) || typeof parameters !== "object" || parameters === null || !Number.isInteger(seed)) {
    throw new UsageError("this is no receipt: it needs prompt, parameters and seed");
  }
  const { sampling, ...rest } = parameters as {
    sampling?: Omit<SamplingParameters, "logitBias"> & { logitBias?: [number, number][] };
  };
  const logitBias = sampling?.logitBias ? new Map(sampling.logitBias) : undefined;
  return { ...rest, prompt, sampling: { ...sampling, logitBias, seed } };
}

const command: Command = {
  summary: "compute the answer of a receipt again, bit for bit",
  usage: `Usage: weir replay RECEIPT.json --model MODEL [--device D] [--threads N]

Prints the answer's text. Weights other than the receipt's are an error; another device may round differently and is said.`,
  async run(args) {
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: { ...MODEL_FLAGS, model: { type: "string" } },
    });
    if (positionals.length !== 1 || !values.model) throw new UsageError("give a RECEIPT file and --model MODEL");
    let receipt: Receipt;
    try {
      receipt = JSON.parse(readFileSync(positionals[0], "utf8")) as Receipt;
    } catch (error) {
      throw new UsageError(`${positionals[0]} cannot be read as a receipt: ${(error as Error).message}`);
    }
    const request = requestOf(receipt);
    const { engine } = await openModel(values.model, openOptions(values));
    let hash = "";
    for await (const event of engine.submit(request)) {
      if (event.type === "token" && event.index === 0) process.stdout.write(event.text);
      if (event.type === "usage") {
        hash = event.receipt.weightsHash;
        if (event.receipt.device !== receipt.device)
          console.error(
            `\nnote: the receipt is from ${receipt.device}, this is ${event.receipt.device}; bits may differ`,
          );
      }
    }
    process.stdout.write("\n");
    await engine.close();
    if (hash === receipt.weightsHash) return 0;
    console.error(
      `the weights of ${values.model} are not the receipt's (${hash.slice(0, 12)}…, not ${String(receipt.weightsHash).slice(0, 12)}…)`,
    );
    return 1;
  },
};
export default command;
