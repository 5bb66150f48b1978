// /v1/files (and DeepSeek's /files): uploads are kept as bytes in the store under ids of ours; their names are data only.
import type { Hono } from "hono";
import { z } from "zod";
import { invalid, notAvailable, ServerError } from "../../errors.ts";
import { readBytes, validate } from "../../http/body.ts";
import type { Env, RouteContext, Services } from "../../http/context.ts";
import { newId } from "../../http/generate.ts";
import type { Document, Storage } from "../../store/storage.ts";
import { listPage, pageQuery } from "./lists.ts";

export const fileObject = z.object({
  id: z.string(),
  object: z.literal("file"),
  bytes: z.int(),
  created_at: z.int(),
  expires_at: z.int().optional(),
  filename: z.string(),
  purpose: z.string(),
  status: z.literal("processed"),
});

export type FileObject = z.output<typeof fileObject>;

const purposes = ["assistants", "batch", "fine-tune", "vision", "user_data", "evals"];
const parsePurposes = ["text_recognition", "rich_layout_recognition"];

/** Stores a file for an owner. */
export async function storeFile(
  storage: Storage,
  owner: string,
  file: { filename: string; purpose: string; bytes: Uint8Array; expiresAt?: number },
): Promise<FileObject> {
  const id = newId("file-");
  const now = Date.now();
  const body: FileObject = {
    id,
    object: "file",
    bytes: file.bytes.length,
    created_at: Math.floor(now / 1000),
    ...(file.expiresAt === undefined ? {} : { expires_at: Math.floor(file.expiresAt / 1000) }),
    filename: file.filename,
    purpose: file.purpose,
    status: "processed",
  };
  await storage.putBytes(id, file.bytes);
  await storage.putDocument("file", { id, owner, createdAt: now, body }, file.expiresAt);
  return body;
}

export async function findFile(
  storage: Storage,
  id: string,
  owner: string,
  field?: string,
): Promise<Document<FileObject>> {
  const found = await storage.getDocument("file", id, owner);
  if (!found) throw new ServerError(404, "not_found", `No such File object: ${id.slice(0, 100)}`, { field });
  return found as Document<FileObject>;
}

async function readForm(request: Request, limit: number): Promise<FormData> {
  const type = request.headers.get("content-type") ?? "";
  if (!/^multipart\/form-data\b/i.test(type))
    throw new ServerError(
      415,
      "unsupported_media_type",
      "Files are sent as multipart/form-data with the fields purpose and file.",
    );
  const bytes = await readBytes(request, limit);
  try {
    return await new Response(bytes as Uint8Array<ArrayBuffer>, { headers: { "content-type": type } }).formData();
  } catch {
    throw new ServerError(400, "invalid_body", "The multipart body cannot be read.");
  }
}

const expirySeconds = z.coerce
  .number()
  .int()
  .min(3600)
  .max(30 * 24 * 3600);

async function upload(context: RouteContext, services: Services): Promise<Response> {
  const form = await readForm(context.req.raw, services.config.limits.uploadBytes);
  const purpose = form.get("purpose");
  const file = form.get("file");
  if (typeof purpose !== "string")
    throw invalid("purpose", "The field 'purpose' is required.", "missing_required_parameter");
  if (parsePurposes.includes(purpose))
    throw notAvailable(
      `Document parsing (purpose '${purpose}')`,
      "Extract the text yourself and send it in a message.",
    );
  if (!purposes.includes(purpose))
    throw invalid("purpose", `'${purpose.slice(0, 50)}' is not one of ${purposes.join(", ")}.`);
  if (!(file instanceof File)) throw invalid("file", "The field 'file' must be a file.", "missing_required_parameter");
  const seconds = form.get("expires_after[seconds]");
  const expiresAt =
    seconds === null
      ? undefined
      : Date.now() +
        validate(z.object({ "expires_after[seconds]": expirySeconds }), { "expires_after[seconds]": seconds })[
          "expires_after[seconds]"
        ] *
          1000;
  const filename = (file.name.split(/[\\/]/).pop() ?? "").slice(0, 255).toWellFormed() || "file";
  const bytes = new Uint8Array(await file.arrayBuffer());
  const owner = context.get("call").caller.id;
  return context.json(await storeFile(services.storage, owner, { filename, purpose, bytes, expiresAt }));
}

export function mountFiles(app: Hono<Env>, services: Services): void {
  const { storage } = services;
  const owner = (context: RouteContext) => context.get("call").caller.id;
  for (const base of ["/v1/files", "/files"]) {
    app.post(base, (context) => upload(context, services));
    app.get(base, async (context) => {
      const { limit, purpose, ...page } = validate(pageQuery, context.req.query());
      const filter = purpose === undefined ? undefined : { field: "purpose", value: purpose };
      const found = await storage.listDocuments("file", owner(context), { ...page, limit: limit + 1 }, filter);
      return context.json(
        listPage(
          found.map((each) => each.body as FileObject),
          limit,
        ),
      );
    });
    app.get(`${base}/:id`, async (context) =>
      context.json((await findFile(storage, context.req.param("id"), owner(context))).body),
    );
    app.get(`${base}/:id/content`, async (context) => {
      const { id } = await findFile(storage, context.req.param("id"), owner(context));
      const bytes = (await storage.getBytes(id)) ?? new Uint8Array();
      return context.body(bytes as Uint8Array<ArrayBuffer>, 200, {
        "content-type": "application/octet-stream",
        "content-disposition": "attachment",
        "x-content-type-options": "nosniff",
      });
    });
    app.delete(`${base}/:id`, async (context) => {
      const { id } = await findFile(storage, context.req.param("id"), owner(context));
      await storage.deleteDocument("file", id, owner(context));
      await storage.deleteBytes(id);
      return context.json({ id, object: "file", deleted: true });
    });
  }
}
