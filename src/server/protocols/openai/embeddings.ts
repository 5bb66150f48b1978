// POST /v1/embeddings.
import { z } from "zod";
import { invalid } from "../../errors.ts";
import { readJson, validate } from "../../http/body.ts";
import { callOf, type RouteContext, type Services } from "../../http/context.ts";

const tokenIds = z.array(z.number().int().min(0)).min(1);

export const embeddingRequest = z.strictObject({
  model: z.string().min(1).max(256),
  input: z.union([
    z.string().min(1),
    tokenIds,
    z.array(z.string().min(1)).min(1).max(2048),
    z.array(tokenIds).min(1).max(2048),
  ]),
  encoding_format: z.enum(["float", "base64"]).nullish(),
  dimensions: z.number().int().min(1).nullish(),
  user: z.string().max(512).nullish(),
});

export const embeddingList = z.object({
  object: z.literal("list"),
  model: z.string(),
  data: z.array(
    z.object({ object: z.literal("embedding"), index: z.int(), embedding: z.union([z.array(z.number()), z.string()]) }),
  ),
  usage: z.object({ prompt_tokens: z.int(), total_tokens: z.int() }),
});

export async function embeddings(context: RouteContext, services: Services): Promise<Response> {
  const body = validate(embeddingRequest, await readJson(context.req.raw, services.config.limits));
  const { input } = body;
  const inputs =
    typeof input === "string"
      ? [input]
      : typeof input[0] === "number"
        ? [input as number[]]
        : (input as string[] | number[][]);
  const result = await services.gateway.embed(body.model, inputs, callOf(context, body.user ?? undefined));
  const length = result.vectors[0].length;
  if (body.dimensions != null && body.dimensions !== length)
    throw invalid(
      "dimensions",
      `Vectors of '${result.model}' have ${length} dimensions and cannot be cut to ${body.dimensions}.`,
    );
  const write = (vector: Float32Array) =>
    body.encoding_format === "base64"
      ? Buffer.from(vector.buffer, vector.byteOffset, vector.byteLength).toString("base64")
      : Array.from(vector);
  const answer: z.output<typeof embeddingList> = {
    object: "list",
    model: result.model,
    data: result.vectors.map((vector, index) => ({ object: "embedding", index, embedding: write(vector) })),
    usage: { prompt_tokens: result.usage.promptTokens, total_tokens: result.usage.promptTokens },
  };
  return context.json(answer);
}
