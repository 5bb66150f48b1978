// Downloads a model from a hub that speaks Hugging Face's HTTP API: listing, resuming, checking every file's hash. Which bytes are
// safe to run is decided when the model is opened; here only names and hashes are held to what the hub said.
import { createHash } from "node:crypto";
import type { FileHandle } from "node:fs/promises";
import { mkdir, open, rename, rm, stat, statfs } from "node:fs/promises";
import { dirname, join } from "node:path";
import { CheckpointError, show } from "./errors.ts";

export interface RemoteFile {
  /** Relative, "/" between parts, checked. */
  path: string;
  size: number;
  /** sha256 of the content for large files; for small ones git's sha1 of "blob SIZE\0" and the content. */
  hash: { kind: "sha256" | "git"; hex: string };
}

export interface PullOptions {
  /** Default https://huggingface.co, or what HF_ENDPOINT says. */
  endpoint?: string;
  revision?: string;
  /** Which files: patterns with `*`, matched against the whole path. Default: what a model directory needs. */
  include?: readonly string[];
  /** For private models; sent to the endpoint only. */
  token?: string;
  signal?: AbortSignal;
  onStart?(files: readonly RemoteFile[], bytesPresent: number): void;
  onBytes?(count: number, path: string): void;
  /** Ends a connection on which nothing arrives for so long. Default 60 s. */
  stallMs?: number;
  /** Attempts per file after the first. Default 5. */
  retries?: number;
  /** Pause before the first retry; doubles each time. Default 1 s. */
  retryMs?: number;
}

/** What a model directory needs, the weights in safetensors. Files of folders are asked for by --include. */
export const defaultPatterns: readonly string[] = [
  "*.json",
  "*.jinja",
  "*.safetensors",
  "*.model",
  "LICENSE*",
  "README.md",
];

const largestListing = 64 * 2 ** 20;
const mostFiles = 100_000;

/** Throws for anything but a plain relative path: nothing may land outside the folder, or in a name some system treats specially. */
export function checkRemotePath(path: unknown, origin: string): string {
  const fail = (why: string): never => {
    throw new CheckpointError(origin, "path", `${show(path)} ${why}; nothing was written`);
  };
  if (typeof path !== "string" || path === "" || path.length > 1024) return fail("is no file name");
  for (const part of path.split("/")) {
    if (part === "" || part === "." || part === ".." || part.length > 255) return fail("is no plain relative path");
    if (/[\u0000-\u001f\u007f\\:*?"<>|]/.test(part)) return fail("has characters that file systems treat specially");
    if (/^(con|prn|aux|nul|com\d|lpt\d)(\..*)?$/i.test(part) || /[. ]$/.test(part))
      return fail("is a reserved name on Windows");
    if (part.startsWith(".") && /\.partial$/.test(part)) return fail("is a name for unfinished files");
  }
  return path;
}

function readListing(json: unknown, origin: string): RemoteFile[] {
  if (!Array.isArray(json) || json.length > mostFiles)
    throw new CheckpointError(origin, "listing", "is not a list of files");
  return json
    .filter((entry) => entry?.type === "file")
    .map((entry): RemoteFile => {
      const path = checkRemotePath(entry.path, origin);
      const sha256 = entry.lfs?.oid ?? entry.lfs?.sha256;
      const size = entry.lfs?.size ?? entry.size;
      if (!Number.isSafeInteger(size) || size < 0)
        throw new CheckpointError(origin, show(path), `has the impossible size ${show(size)}`);
      const hash =
        entry.lfs === undefined || entry.lfs === null
          ? ({ kind: "git", hex: entry.oid } as const)
          : ({ kind: "sha256", hex: sha256 } as const);
      if (typeof hash.hex !== "string" || !new RegExp(`^[0-9a-f]{${hash.kind === "git" ? 40 : 64}}$`).test(hash.hex))
        throw new CheckpointError(origin, show(path), `has no usable ${hash.kind} hash: ${show(hash.hex)}`);
      return { path, size, hash };
    });
}

const pattern = (glob: string): RegExp =>
  new RegExp(`^${glob.replace(/[.+^${}()|[\]\\?]/g, "\\$&").replaceAll("*", glob.includes("/") ? ".*" : "[^/]*")}$`);

function hasher(file: RemoteFile) {
  if (file.hash.kind === "sha256") return createHash("sha256");
  return createHash("sha1").update(`blob ${file.size}\0`);
}

/** An answer that is worth asking for again. */
class Transient extends Error {}

class Hub {
  readonly base: string;
  readonly repository: string;
  readonly revision: string;
  readonly #options: PullOptions;

  constructor(repository: string, options: PullOptions) {
    if (!/^[\w-][\w.-]{0,95}\/[\w-][\w.-]{0,95}$/.test(repository))
      throw new CheckpointError(show(repository), "name", "must be ORG/NAME of letters, digits, - _ and .");
    const endpoint = options.endpoint ?? process.env.HF_ENDPOINT ?? "https://huggingface.co";
    if (!URL.canParse(endpoint) || !/^https?:$/.test(new URL(endpoint).protocol))
      throw new CheckpointError(show(endpoint), "endpoint", "must be an http or https address");
    this.base = endpoint.replace(/\/+$/, "");
    this.repository = repository;
    this.revision = encodeURIComponent(options.revision ?? "main");
    this.#options = options;
  }

  /** Asks for `url`; the timer restarts with every call of the returned `alive`. */
  async get(
    url: string,
    headers: Record<string, string> = {},
  ): Promise<{ response: Response; alive: () => void; done: () => void }> {
    const stall = new AbortController();
    let timer: NodeJS.Timeout;
    const alive = () => {
      clearTimeout(timer);
      timer = setTimeout(
        () => stall.abort(new Transient("nothing arrived for too long")),
        this.#options.stallMs ?? 60_000,
      );
    };
    const done = () => clearTimeout(timer);
    alive();
    const signals = [stall.signal, ...(this.#options.signal === undefined ? [] : [this.#options.signal])];
    // Bytes as stored: a transfer coding would make ranges and sizes mean something else.
    const asked: Record<string, string> = { "accept-encoding": "identity", ...headers };
    const { token } = this.#options;
    if (token !== undefined && new URL(url).origin === new URL(this.base).origin)
      asked.authorization = `Bearer ${token}`;
    try {
      const response = await fetch(url, { headers: asked, signal: AbortSignal.any(signals) });
      if (response.ok || response.status === 416) return { response, alive, done };
      await response.body?.cancel();
      if (response.status === 429 || response.status >= 500) throw new Transient(`answered ${response.status}`);
      const hint =
        response.status === 401 || response.status === 403
          ? "the model is private or its terms were not accepted; set HF_TOKEN"
          : response.status === 404
            ? "there is no such model, revision or file"
            : "the hub refused";
      throw new CheckpointError(url, "HTTP", `${response.status}: ${hint}`);
    } catch (error) {
      done();
      throw error;
    }
  }

  /** Runs `attempt` again after failures of the network. `progressed` resets the count: a slow line may break often. */
  async patiently<T>(what: string, attempt: () => Promise<T>, progressed: () => boolean = () => false): Promise<T> {
    const retries = this.#options.retries ?? 5;
    for (let failures = 0; ; failures++) {
      try {
        return await attempt();
      } catch (error) {
        this.#options.signal?.throwIfAborted();
        if (error instanceof CheckpointError || isLocal(error)) throw error;
        if (progressed()) failures = 0;
        if (failures >= retries)
          throw new CheckpointError(what, "network", `${reason(error)}; run the command again to go on from here`, {
            cause: error,
          });
        await new Promise((resolve) => setTimeout(resolve, (this.#options.retryMs ?? 1000) * 2 ** failures));
      }
    }
  }

  async list(): Promise<RemoteFile[]> {
    const files: RemoteFile[] = [];
    let url: string | undefined = `${this.base}/api/models/${this.repository}/tree/${this.revision}?recursive=true`;
    for (let page = 0; url !== undefined; page++) {
      if (page > 1000) throw new CheckpointError(url, "listing", "does not end");
      const address: string = url;
      const { json, next } = await this.patiently(address, async () => {
        const { response, alive, done } = await this.get(address);
        try {
          const text = await readText(response, alive, address);
          return { json: parse(text, address), next: nextPage(response.headers.get("link"), address, this.base) };
        } finally {
          done();
        }
      });
      files.push(...readListing(json, address));
      if (files.length > mostFiles) throw new CheckpointError(address, "listing", `has over ${mostFiles} files`);
      url = next;
    }
    const seen = new Set<string>();
    for (const { path } of files) {
      // Some file systems take names that differ in case for one.
      if (seen.has(path.toLowerCase())) throw new CheckpointError(this.base, "listing", `has ${show(path)} twice`);
      seen.add(path.toLowerCase());
    }
    return files;
  }

  address(path: string): string {
    return `${this.base}/${this.repository}/resolve/${this.revision}/${path.split("/").map(encodeURIComponent).join("/")}`;
  }
}

const parse = (text: string, address: string): unknown => {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new CheckpointError(address, "listing", "is not JSON; is this a hub's address?", { cause });
  }
};

async function readText(response: Response, alive: () => void, address: string): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of response.body ?? []) {
    alive();
    text += decoder.decode(chunk, { stream: true });
    if (text.length > largestListing) throw new CheckpointError(address, "listing", "is endless");
  }
  return text + decoder.decode();
}

/** The `rel="next"` address of a Link header; it must stay at the endpoint. */
function nextPage(link: string | null, address: string, base: string): string | undefined {
  const found = link === null ? null : /<([^>]*)>\s*;[^,]*rel="?next"?/.exec(link);
  if (found === null) return undefined;
  const next = new URL(found[1], address);
  if (next.origin !== new URL(base).origin)
    throw new CheckpointError(address, "Link", `leads away, to ${show(next.origin)}`);
  return next.href;
}

/** Errors of this machine (no room, no right to write): trying again would not help. */
const isLocal = (error: unknown): boolean =>
  ["ENOSPC", "EACCES", "EPERM", "EROFS", "EDQUOT", "EISDIR", "ENOTDIR"].includes(
    (error as NodeJS.ErrnoException).code ?? "",
  );

function reason(error: unknown): string {
  const cause = (error as { cause?: { code?: string; message?: string } }).cause;
  return `failed again and again (${show(cause?.code ?? cause?.message ?? (error as Error).message)})`;
}

const exists = async (path: string): Promise<number | null> => {
  const status = await stat(path).catch(() => null);
  return status?.isFile() ? status.size : null;
};

/** Feeds the bytes [0, length) of a file to `hash`. */
async function hashFile(handle: FileHandle, length: number, hash: ReturnType<typeof createHash>): Promise<void> {
  const buffer = new Uint8Array(2 ** 20);
  for (let at = 0; at < length; ) {
    const { bytesRead } = await handle.read(buffer, 0, Math.min(buffer.length, length - at), at);
    if (bytesRead === 0) throw new Error("the file shrank while it was read");
    hash.update(buffer.subarray(0, bytesRead));
    at += bytesRead;
  }
}

async function isWhole(path: string, file: RemoteFile): Promise<boolean> {
  if ((await exists(path)) !== file.size) return false;
  const handle = await open(path, "r");
  try {
    const hash = hasher(file);
    await hashFile(handle, file.size, hash);
    return hash.digest("hex") === file.hash.hex;
  } finally {
    await handle.close();
  }
}

/** Where the unfinished bytes of a file lie: the hash is in the name, so that another version never goes on from them. */
const partialPath = (directory: string, file: RemoteFile): string =>
  join(directory, dirname(file.path), `.${file.hash.hex.slice(0, 24)}.partial`);

/** One request: appends to the partial file what is missing of it. */
async function fetchRest(hub: Hub, file: RemoteFile, partial: string, onBytes: (count: number) => void): Promise<void> {
  const handle = await open(partial, "a+");
  try {
    let have = (await handle.stat()).size;
    if (have > file.size) {
      await handle.truncate(0);
      onBytes(-have);
      have = 0;
    }
    if (have === file.size) return;
    const { response, alive, done } = await hub.get(
      hub.address(file.path),
      have > 0 ? { range: `bytes=${have}-` } : {},
    );
    try {
      const from = /^bytes (\d+)-/.exec(response.headers.get("content-range") ?? "");
      if (response.status !== 206 || Number(from?.[1]) !== have) {
        // The server does not go on from where we are (or has another idea of it): begin anew.
        await handle.truncate(0);
        onBytes(-have);
        have = 0;
        if (response.status !== 200) {
          await response.body?.cancel();
          throw new Transient(`answered ${response.status} to a range`);
        }
      }
      for await (const chunk of response.body ?? []) {
        alive();
        if (have + chunk.byteLength > file.size) {
          await handle.truncate(0);
          throw new CheckpointError(
            hub.address(file.path),
            "size",
            `exceeds the ${file.size} bytes that the hub lists`,
          );
        }
        await handle.write(chunk);
        have += chunk.byteLength;
        onBytes(chunk.byteLength);
      }
      if (have < file.size) throw new Transient(`ended at ${have} of ${file.size} bytes`);
    } finally {
      done();
    }
  } finally {
    await handle.close();
  }
}

async function pullFile(hub: Hub, file: RemoteFile, directory: string, options: PullOptions): Promise<void> {
  const target = join(directory, file.path);
  const partial = partialPath(directory, file);
  await mkdir(dirname(target), { recursive: true });
  let received = 0;
  let before = 0;
  const onBytes = (count: number) => {
    received += count;
    options.onBytes?.(count, file.path);
  };
  await hub.patiently(
    hub.address(file.path),
    () => fetchRest(hub, file, partial, onBytes),
    () => {
      const progressed = received > before;
      before = received;
      return progressed;
    },
  );
  const handle = await open(partial, "r+");
  const hash = hasher(file);
  try {
    await hashFile(handle, file.size, hash);
    await handle.sync();
  } finally {
    await handle.close();
  }
  const found = hash.digest("hex");
  if (found !== file.hash.hex) {
    await rm(partial, { force: true });
    onBytes(-file.size);
    throw new CheckpointError(
      hub.address(file.path),
      file.hash.kind === "sha256" ? "sha256" : "git hash",
      `is ${found}, the hub lists ${file.hash.hex}; the file was thrown away, run the command again`,
    );
  }
  await rename(partial, target);
}

/**
 * Downloads the files of `repository` ("ORG/NAME") into `directory`. Files that are there whole are kept, unfinished ones continued.
 * Returns what the directory now holds. Throws CheckpointError for names that are no plain paths, sizes or hashes that differ.
 */
export async function pull(repository: string, directory: string, options: PullOptions = {}): Promise<RemoteFile[]> {
  const hub = new Hub(repository, options);
  const listed = await hub.list();
  const explicit = options.include !== undefined && options.include.length > 0;
  const patterns = (explicit ? options.include! : defaultPatterns).map(pattern);
  const files = listed.filter(({ path }) => patterns.some((expression) => expression.test(path)));
  if (files.length === 0) {
    const there = listed.slice(0, 5).map(({ path }) => show(path));
    throw new CheckpointError(
      `${hub.base}/${repository}`,
      "files",
      `none match; there are ${there.join(", ") || "none at all"}`,
    );
  }
  const missing: RemoteFile[] = [];
  let present = 0;
  let room = 0;
  for (const file of files) {
    if (await isWhole(join(directory, file.path), file)) present += file.size;
    else {
      const partial = Math.min((await exists(partialPath(directory, file))) ?? 0, file.size);
      present += partial;
      room += file.size - partial;
      missing.push(file);
    }
  }
  await mkdir(directory, { recursive: true });
  const disk = await statfs(directory);
  if (room > disk.bavail * disk.bsize)
    throw new CheckpointError(
      directory,
      "disk",
      `has ${disk.bavail * disk.bsize} bytes free, ${room} are still to come`,
    );
  options.onStart?.(files, present);
  for (const file of missing) await pullFile(hub, file, directory, options);
  return files;
}
