// OpenAI's cursor lists.
import { z } from "zod";

export const pageQuery = z.object({
  after: z.string().max(256).optional(),
  limit: z.coerce.number().int().min(1).max(10_000).default(20),
  order: z.enum(["asc", "desc"]).default("desc"),
  purpose: z.string().max(64).optional(),
});

/** A page out of items of which there may be one more than the limit. */
export function listPage<T extends { id: string }>(items: T[], limit: number) {
  const data = items.slice(0, limit);
  return {
    object: "list" as const,
    data,
    has_more: items.length > limit,
    first_id: data[0]?.id ?? null,
    last_id: data.at(-1)?.id ?? null,
  };
}
