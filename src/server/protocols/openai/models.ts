// GET /v1/models and /v1/models/{id}: what this server answers with.
import { z } from "zod";
import type { Caller } from "../../caller.ts";
import { ServerError } from "../../errors.ts";
import type { ModelRegistry } from "../../registry.ts";

export const modelCard = z.object({
  id: z.string(),
  object: z.literal("model"),
  created: z.int(),
  owned_by: z.string(),
  loaded: z.boolean(),
  context_length: z.int().optional(),
});

export const modelList = z.object({ object: z.literal("list"), data: z.array(modelCard) });

/** The models and aliases a caller may name. */
export function listModels(models: ModelRegistry, caller: Caller): z.output<typeof modelList> {
  const allowed = (id: string) => caller.limits.models?.includes(id) ?? true;
  const data = models
    .list()
    .filter((listing) => allowed(listing.id))
    .flatMap((listing) =>
      [listing.id, ...listing.aliases].map((id) => ({
        id,
        object: "model" as const,
        created: Math.floor(listing.createdAt / 1000),
        owned_by: listing.kind === "local" ? "weir" : "upstream",
        loaded: listing.loaded,
        context_length: listing.info?.contextLength,
      })),
    );
  return { object: "list", data };
}

export function findModel(models: ModelRegistry, caller: Caller, id: string): z.output<typeof modelCard> {
  const card = listModels(models, caller).data.find((each) => each.id === id);
  if (!card)
    throw new ServerError(404, "model_not_found", `The model '${id.slice(0, 100)}' does not exist.`, {
      field: "model",
    });
  return card;
}
