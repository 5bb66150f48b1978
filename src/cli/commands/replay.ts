// `weir replay`: computes the answer of a receipt again and says whether it is the same.
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { openModel } from "../../engine/open.ts";
import { differences, requestOfReceipt } from "../../engine/replay.ts";
import { EngineError, type GenerateRequest, type Receipt } from "../../engine/types.ts";
import { type Command, UsageError } from "../command.ts";
import { MODEL_FLAGS, openOptions } from "../model-options.ts";

const command: Command = {
  summary: "compute the answer of a receipt again, bit for bit / 凭回执逐位重算一次回答",
  usage: `Usage: weir replay RECEIPT.json --model MODEL [--adapter DIRECTORY] [--device D] [--threads N]

Prints the answer's text. Weights, an adapter or an answer other than the receipt's are an error; another device, which may round
differently, is said.
  --adapter DIRECTORY  the adapter that the receipt's answer was made with`,
  async run(args) {
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: { ...MODEL_FLAGS, model: { type: "string" }, adapter: { type: "string" } },
    });
    if (positionals.length !== 1 || !values.model) throw new UsageError("give a RECEIPT file and --model MODEL");
    let receipt: Receipt;
    try {
      receipt = JSON.parse(readFileSync(positionals[0], "utf8")) as Receipt;
    } catch (error) {
      throw new UsageError(`${positionals[0]} cannot be read as a receipt: ${(error as Error).message}`);
    }
    let request: GenerateRequest;
    try {
      request = requestOfReceipt(receipt);
    } catch (error) {
      if (error instanceof EngineError) throw new UsageError(`${positionals[0]}: ${error.message}`);
      throw error;
    }
    if (request.adapter !== undefined && values.adapter === undefined)
      throw new UsageError(`the answer was made with the adapter ${request.adapter}; give its --adapter DIRECTORY`);
    const { engine } = await openModel(values.model, openOptions(values));
    if (request.adapter !== undefined) await engine.loadAdapter(request.adapter, values.adapter as string);
    let again: Receipt | undefined;
    for await (const event of engine.submit(request)) {
      if (event.type === "token" && event.index === 0) process.stdout.write(event.text);
      if (event.type === "usage") again = event.receipt;
    }
    process.stdout.write("\n");
    await engine.close();
    if (!again) throw new Error("the engine ended without a receipt");
    if (again.device !== receipt.device)
      console.error(`note: the receipt is from ${receipt.device}, this is ${again.device}; bits may differ`);
    const wrong = differences(receipt, again);
    for (const sentence of wrong) console.error(sentence);
    return wrong.length > 0 ? 1 : 0;
  },
};
export default command;
