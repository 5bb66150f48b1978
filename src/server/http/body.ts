// Reads request bodies as what they are: hostile bytes. Size, UTF-8, nesting and dangerous keys are checked before a
// schema sees anything; schema failures become one sentence that names the field.
import type { z } from "zod";
import { invalid, ServerError } from "../errors.ts";

/** The body's bytes; throws 413 as soon as there are more than the limit. */
export async function readBytes(request: Request, limit: number): Promise<Uint8Array> {
  const tooLarge = () =>
    new ServerError(
      413,
      "request_too_large",
      `The request body is larger than ${limit} bytes, the most this server takes.`,
    );
  const declared = request.headers.get("content-length");
  if (declared !== null && Number(declared) > limit) throw tooLarge();
  try {
    // The HTTP parser holds a body to its declared length; reading it whole spares the stream.
    if (declared !== null) return new Uint8Array(await request.arrayBuffer());
  } catch {
    throw new ServerError(400, "invalid_body", "The request body broke off.");
  }
  const reader = request.body?.getReader();
  if (!reader) return new Uint8Array();
  const chunks: Uint8Array[] = [];
  let size = 0;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      size += value.length;
      if (size > limit) {
        await reader.cancel();
        throw tooLarge();
      }
      chunks.push(value);
    }
  } catch (error) {
    if (error instanceof ServerError) throw error;
    throw new ServerError(400, "invalid_body", "The request body broke off.");
  }
  return chunks.length === 1 ? chunks[0] : Buffer.concat(chunks);
}

/**
 * Throws when a value is nested too deeply, carries a key that would reach an object's prototype, or holds half a
 * surrogate pair ("\\ud800"), which no tokenizer can encode.
 */
function inspect(value: unknown, nesting: number): void {
  const stack: [value: object, depth: number][] = [];
  const meet = (child: unknown, depth: number) => {
    if (typeof child === "string" && !child.isWellFormed())
      throw new ServerError(400, "invalid_json", "A string holds half of a surrogate pair; send whole characters.");
    if (typeof child !== "object" || child === null) return;
    if (depth > nesting)
      throw new ServerError(400, "invalid_json", `The JSON is nested more than ${nesting} levels deep.`);
    stack.push([child, depth]);
  };
  meet(value, 1);
  for (let next = stack.pop(); next; next = stack.pop()) {
    const [node, depth] = next;
    if (Array.isArray(node)) for (const child of node) meet(child, depth + 1);
    else
      for (const [key, child] of Object.entries(node)) {
        if (key === "__proto__") throw new ServerError(400, "invalid_json", "The key '__proto__' is not allowed.");
        meet(key, depth);
        meet(child, depth + 1);
      }
  }
}

/** Bytes as a JSON value. */
export function parseJson(bytes: Uint8Array, nesting: number): unknown {
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new ServerError(400, "invalid_utf8", "The request body is not valid UTF-8.");
  }
  if (text.trim() === "") throw new ServerError(400, "invalid_json", "The request body is empty; send a JSON object.");
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    const reason = (error as Error).message.replace(/[^\x20-\x7e]/g, "?").slice(0, 200);
    throw new ServerError(400, "invalid_json", `The request body is not valid JSON: ${reason}.`);
  }
  inspect(value, nesting);
  return value;
}

export async function readJson(request: Request, limits: { bodyBytes: number; nesting: number }): Promise<unknown> {
  const type = request.headers.get("content-type");
  if (type !== null && !/^application\/(?:[\w.+-]*\+)?json\b|^text\/plain\b/i.test(type))
    throw new ServerError(
      415,
      "unsupported_media_type",
      `The content type '${type.slice(0, 80)}' is not JSON; send 'application/json'.`,
    );
  return parseJson(await readBytes(request, limits.bodyBytes), limits.nesting);
}

const fieldPath = (path: PropertyKey[]): string =>
  path.reduce<string>(
    (text, part) => (typeof part === "number" ? `${text}[${part}]` : text ? `${text}.${String(part)}` : String(part)),
    "",
  );

/** The issue that helps most: within a union, that of the branch that got furthest. */
function deepest(issue: z.core.$ZodIssue, path: PropertyKey[] = []): { issue: z.core.$ZodIssue; path: PropertyKey[] } {
  const here = [...path, ...issue.path];
  if (issue.code !== "invalid_union") return { issue, path: here };
  let best: { issue: z.core.$ZodIssue; path: PropertyKey[] } | undefined;
  for (const branch of issue.errors)
    for (const inner of branch.slice(0, 1)) {
      const found = deepest(inner, here);
      if (!best || found.path.length > best.path.length) best = found;
    }
  return best && best.path.length > here.length ? best : { issue, path: here };
}

/** zod's length checks look at values of a wrong type too, and an object in the place of a length makes them throw. */
function parse<Schema extends z.ZodType>(schema: Schema, value: unknown): z.ZodSafeParseResult<z.output<Schema>> {
  try {
    return schema.safeParse(value);
  } catch (error) {
    if (error instanceof TypeError)
      throw invalid("", "The request body holds a value of a wrong type.", "invalid_type");
    throw error;
  }
}

/** A schema's output, or an error that names the first field at fault. */
export function validate<Schema extends z.ZodType>(schema: Schema, value: unknown): z.output<Schema> {
  const parsed = parse(schema, value);
  if (parsed.success) return parsed.data;
  const { issue, path } = deepest(parsed.error.issues[0]);
  if (issue.code === "unrecognized_keys") {
    const field = fieldPath([...path, issue.keys[0]]).slice(0, 200);
    throw invalid(field, `Unknown field '${field}'.`, "unknown_parameter");
  }
  const field = fieldPath(path).slice(0, 200);
  const missing = issue.code === "invalid_type" && issue.message.includes("received undefined");
  const where = field === "" ? "the request body" : `'${field}'`;
  if (missing) throw invalid(field, `The field ${where} is required.`, "missing_required_parameter");
  throw invalid(
    field,
    `Invalid value for ${where}: ${issue.message}.`,
    issue.code === "invalid_type" ? "invalid_type" : "invalid_value",
  );
}
