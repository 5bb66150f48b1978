// Who sends a request: the holder of an API key, or anyone on this machine where no keys are asked for. Keys are random
// 256-bit secrets, so one round of SHA-256 is enough to store them safely.
import { createHash, randomBytes } from "node:crypto";
import { ServerError } from "./errors.ts";
import type { KeyRecord, Limits, Storage } from "./store/storage.ts";

export interface Caller {
  /** A key's id, or "local". Owns files, responses and batches. */
  id: string;
  name: string;
  limits: Limits;
}

export const localCaller: Caller = { id: "local", name: "this machine", limits: {} };

const keyPrefix = "sk-weir-";
const hashOf = (secret: string): string => createHash("sha256").update(secret).digest("hex");

/** Makes a key and stores its hash; the secret is returned once and never again. */
export async function createKey(
  storage: Storage,
  options: { name: string; limits?: Limits; expiresAt?: number },
): Promise<{ secret: string; key: KeyRecord }> {
  const secret = `${keyPrefix}${randomBytes(32).toString("base64url")}`;
  const key: KeyRecord = {
    id: `key_${randomBytes(8).toString("hex")}`,
    name: options.name,
    hash: hashOf(secret),
    hint: `${secret.slice(0, 12)}…`,
    limits: options.limits ?? {},
    createdAt: Date.now(),
    expiresAt: options.expiresAt,
  };
  await storage.putKey(key);
  return { secret, key };
}

/** The caller behind a request's headers (Authorization: Bearer …, or Anthropic's x-api-key). One sentence for every refusal. */
export async function identify(headers: Headers, storage: Storage, required: boolean): Promise<Caller> {
  const bearer = /^Bearer\s+(\S+)$/i.exec(headers.get("authorization") ?? "")?.[1];
  const secret = bearer ?? headers.get("x-api-key") ?? undefined;
  // Without required keys any stand-in that a client insists on is accepted, but a key of ours still counts for its holder.
  if (!required && !secret?.startsWith(keyPrefix)) return localCaller;
  if (secret === undefined)
    throw new ServerError(
      401,
      "missing_api_key",
      "No API key was sent. Send it as 'Authorization: Bearer KEY' (or 'x-api-key: KEY'); 'weir keys create' makes one.",
    );
  const key = secret.length <= 256 ? await storage.findKey(hashOf(secret)) : undefined;
  const now = Date.now();
  if (!key || key.revokedAt !== undefined || (key.expiresAt !== undefined && key.expiresAt <= now))
    throw new ServerError(401, "invalid_api_key", "The API key is not valid on this server.");
  return { id: key.id, name: key.name, limits: key.limits };
}
