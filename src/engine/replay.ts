// Computing the answer of a receipt again: from the receipt, which has been through JSON since, back to its request, and what differs
// between two receipts.
import { EngineError, type GenerateRequest, type Receipt, type SamplingParameters } from "./types.ts";

/** The request a receipt stands for, seed included. @throws EngineError `invalid_parameter` for what is no receipt. */
export function requestOfReceipt(receipt: Receipt): GenerateRequest {
  const { prompt, parameters, seed } = receipt ?? {};
  if (!Array.isArray(prompt) || typeof parameters !== "object" || parameters === null || !Number.isInteger(seed))
    throw new EngineError("invalid_parameter", "this is no receipt: it needs prompt, parameters and seed", "receipt");
  const { sampling, ...rest } = parameters as {
    sampling?: Omit<SamplingParameters, "logitBias"> & { logitBias?: [number, number][] };
  };
  const { logitBias, ...others } = sampling ?? {};
  return { ...rest, prompt, sampling: { ...others, ...(logitBias && { logitBias: new Map(logitBias) }), seed } };
}

const PARTS = { weightsHash: "weights", adapterHash: "adapter", answerHash: "answer" } as const;

/** What of the weights, the adapter and the answer is not the receipt's: a line each, none where nothing differs. */
export function differences(receipt: Receipt, again: Receipt): string[] {
  const short = (hash: unknown): string => (typeof hash === "string" ? `${hash.slice(0, 12)}…` : "none");
  return (Object.keys(PARTS) as (keyof typeof PARTS)[])
    .filter((part) => receipt[part] !== again[part])
    .map((part) => `other ${PARTS[part]}: ${short(again[part])}, the receipt has ${short(receipt[part])}`);
}
