// Reads request bodies: bounded, JSON, and of the shape asked for; anything else is a sentence naming the field.
import type { Context } from "hono";
import type { z } from "zod";
import { AppError } from "./errors.ts";

const usual = 16 * 1024 * 1024;

/** The body's text, refused beyond `most` bytes while it is still arriving. */
export async function readText(c: Context, most: number = usual): Promise<string> {
  const tooLarge = () =>
    new AppError(413, "too_large", `The request is larger than ${Math.floor(most / 1024 / 1024)} MB.`, { limit: most });
  if (Number(c.req.header("content-length") ?? 0) > most) throw tooLarge();
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of c.req.raw.body ?? []) {
    size += chunk.byteLength;
    if (size > most) throw tooLarge();
    chunks.push(chunk);
  }
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(Buffer.concat(chunks));
  } catch {
    throw new AppError(400, "not_utf8", "The request is not UTF-8 text.");
  }
}

export async function readBody<T extends z.ZodType>(c: Context, schema: T, most?: number): Promise<z.output<T>> {
  const raw = await readText(c, most);
  let value: unknown;
  try {
    value = raw === "" ? {} : JSON.parse(raw);
  } catch {
    throw new AppError(400, "not_json", "The request is not JSON.");
  }
  const parsed = schema.safeParse(value);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new AppError(400, "bad_field", `${issue.path.join(".") || "body"}: ${issue.message}`, {
      field: issue.path.join("."),
    });
  }
  return parsed.data;
}
