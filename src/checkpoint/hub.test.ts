// Downloads against a hub of our own on this machine: resuming, checking, refusing.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { CheckpointError } from "./errors.ts";
import type { PullOptions } from "./hub.ts";
import { checkRemotePath, pull } from "./hub.ts";
import { randomNumbers } from "./models.fixture.ts";

type Entry = Record<string, unknown>;

/** A hub on loopback whose habits a test can spoil. */
interface FakeHub {
  files: Map<string, Uint8Array>;
  entries(): Entry[];
  requests: { url: string; range: string | undefined; authorization: string | undefined }[];
  /** Called before a file is answered; true: the answer was given. */
  spoil: (path: string, request: IncomingMessage, response: ServerResponse, bytes: Uint8Array) => boolean;
  ranges: boolean;
}

const gitHash = (bytes: Uint8Array) => createHash("sha1").update(`blob ${bytes.length}\0`).update(bytes).digest("hex");
const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");

const listed = (path: string, bytes: Uint8Array): Entry =>
  bytes.length < 1000
    ? { type: "file", path, size: bytes.length, oid: gitHash(bytes) }
    : { type: "file", path, size: bytes.length, oid: "0".repeat(40), lfs: { oid: sha256(bytes), size: bytes.length } };

function content(size: number, seed: number): Uint8Array {
  const random = randomNumbers(seed);
  return Uint8Array.from({ length: size }, () => Math.floor(random() * 256));
}

async function withHub(
  run: (
    hub: FakeHub,
    get: (options?: PullOptions) => ReturnType<typeof pull>,
    folder: string,
    endpoint: string,
  ) => Promise<void>,
): Promise<void> {
  const hub: FakeHub = {
    files: new Map([
      ["config.json", new TextEncoder().encode('{"model_type":"llama"}')],
      ["model.safetensors", content(300_000, 1)],
      ["original/weights.bin", content(2000, 2)],
      ["sub/notes.json", new TextEncoder().encode("{}")],
    ]),
    entries: () => [
      { type: "directory", path: "sub", oid: "1".repeat(40), size: 0 },
      ...[...hub.files].map(([path, bytes]) => listed(path, bytes)),
    ],
    requests: [],
    spoil: () => false,
    ranges: true,
  };
  const server = createServer((request, response) => {
    const url = request.url ?? "";
    hub.requests.push({ url, range: request.headers.range, authorization: request.headers.authorization });
    if (url.startsWith("/api/models/org/name/tree/main")) {
      if (hub.spoil("/tree", request, response, new Uint8Array())) return;
      response.end(JSON.stringify(hub.entries()));
      return;
    }
    const path = decodeURIComponent(url.replace("/org/name/resolve/main/", ""));
    const bytes = hub.files.get(path);
    if (bytes === undefined) {
      response.statusCode = 404;
      response.end();
    } else if (!hub.spoil(path, request, response, bytes)) answer(hub, request, response, bytes);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const folder = mkdtempSync(join(tmpdir(), "weir-pull-"));
  const get = (options: PullOptions = {}) => pull("org/name", folder, { endpoint, retryMs: 1, retries: 3, ...options });
  try {
    await run(hub, get, folder, endpoint);
  } finally {
    server.closeAllConnections();
    server.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

function answer(hub: FakeHub, request: IncomingMessage, response: ServerResponse, bytes: Uint8Array): void {
  const range = /^bytes=(\d+)-$/.exec(request.headers.range ?? "");
  if (range !== null && hub.ranges) {
    const from = Number(range[1]);
    response.writeHead(206, { "content-range": `bytes ${from}-${bytes.length - 1}/${bytes.length}` });
    response.end(bytes.subarray(from));
  } else response.end(bytes);
}

/** Sends part of what is asked for and, once that has reached the file, breaks the connection. */
function breakAfter(
  hub: FakeHub,
  folder: string,
  count: number,
  request: IncomingMessage,
  response: ServerResponse,
  bytes: Uint8Array,
): void {
  const range = /^bytes=(\d+)-$/.exec(request.headers.range ?? "");
  const from = range === null || !hub.ranges ? 0 : Number(range[1]);
  if (from > 0) response.writeHead(206, { "content-range": `bytes ${from}-${bytes.length - 1}/${bytes.length}` });
  response.write(bytes.subarray(from, from + count));
  const expected = Math.min(from + count, bytes.length);
  const wait = setInterval(() => {
    const partial = readdirSync(folder).find((name) => name.endsWith(".partial"));
    // The last piece completes the file, whose partial name is then soon gone.
    if (partial !== undefined && statSync(join(folder, partial)).size < expected) return;
    clearInterval(wait);
    response.destroy();
  }, 5);
}

test("a model arrives whole; what is there already is not asked for again", async () => {
  await withHub(async (hub, get, folder) => {
    let total = 0;
    let bytes = 0;
    const files = await get({
      onStart: (found) => {
        total = found.reduce((sum, file) => sum + file.size, 0);
      },
      onBytes: (count) => {
        bytes += count;
      },
    });
    assert.deepEqual(
      files.map(({ path }) => path),
      ["config.json", "model.safetensors"],
    );
    assert.equal(bytes, total);
    for (const { path } of files)
      assert.deepEqual(new Uint8Array(readFileSync(join(folder, path))), hub.files.get(path));
    assert.deepEqual(readdirSync(folder).sort(), ["config.json", "model.safetensors"]);
    hub.requests.length = 0;
    let present = 0;
    await get({
      onStart: (_, there) => {
        present = there;
      },
    });
    assert.equal(hub.requests.length, 1);
    assert.equal(present, total);
    // A file that was changed here is fetched again.
    writeFileSync(join(folder, "config.json"), '{"model_type":"bamba"}');
    await get();
    assert.deepEqual(new Uint8Array(readFileSync(join(folder, "config.json"))), hub.files.get("config.json"));
  });
});

test("patterns choose files, folders included", async () => {
  await withHub(async (_hub, get, folder) => {
    await get({ include: ["original/*", "sub/*.json"] });
    assert.ok(existsSync(join(folder, "original", "weights.bin")) && existsSync(join(folder, "sub", "notes.json")));
    await assert.rejects(get({ include: ["*.gguf"] }), /none match; there are "config.json"/);
  });
});

test("a download that breaks off goes on where it stopped, within one run and in the next", async () => {
  await withHub(async (hub, get, folder) => {
    const bytes = hub.files.get("model.safetensors")!;
    hub.spoil = (path, request, response) => {
      if (path !== "model.safetensors") return false;
      breakAfter(hub, folder, 60_000, request, response, bytes);
      return true;
    };
    // Every piece of 60,000 bytes is progress, so five breaks end in the whole file.
    await get();
    assert.deepEqual(new Uint8Array(readFileSync(join(folder, "model.safetensors"))), bytes);
    const ranges = hub.requests.filter(({ url }) => url.includes("model.safetensors")).map(({ range }) => range);
    assert.ok(ranges.length >= 5 && ranges[1]?.startsWith("bytes=") && ranges[1] !== "bytes=0-", String(ranges));

    rmSync(join(folder, "model.safetensors"));
    let broken = false;
    hub.spoil = (path, request, response) => {
      if (path !== "model.safetensors") return false;
      if (broken) response.destroy();
      else breakAfter(hub, folder, 100_000, request, response, bytes);
      broken = true;
      return true;
    };
    await assert.rejects(get(), /run the command again/);
    const partial = readdirSync(folder).find((name) => name.endsWith(".partial"));
    assert.ok(partial !== undefined);
    const kept = readFileSync(join(folder, partial)).length;
    assert.ok(kept === 100_000 && !existsSync(join(folder, "model.safetensors")));
    hub.spoil = () => false;
    hub.requests.length = 0;
    let present = -1;
    await get({
      onStart: (_, there) => {
        present = there;
      },
    });
    assert.equal(hub.requests.at(-1)!.range, `bytes=${kept}-`);
    assert.equal(present, kept + hub.files.get("config.json")!.length);
    assert.deepEqual(new Uint8Array(readFileSync(join(folder, "model.safetensors"))), bytes);
    assert.deepEqual(readdirSync(folder).sort(), ["config.json", "model.safetensors"]);
  });
});

test("a server without ranges is begun anew, one that sends another range too", async () => {
  await withHub(async (hub, get, folder) => {
    const bytes = hub.files.get("model.safetensors")!;
    let count = 0;
    hub.ranges = false;
    hub.spoil = (path, request, response) => {
      if (path !== "model.safetensors" || count++ > 0) return false;
      breakAfter(hub, folder, 60_000, request, response, bytes);
      return true;
    };
    let sum = 0;
    await get({
      onBytes: (n) => {
        sum += n;
      },
    });
    assert.equal(sum, bytes.length + hub.files.get("config.json")!.length);
    assert.deepEqual(new Uint8Array(readFileSync(join(folder, "model.safetensors"))), bytes);

    rmSync(join(folder, "model.safetensors"));
    count = 0;
    hub.ranges = true;
    hub.spoil = (path, request, response) => {
      if (path !== "model.safetensors") return false;
      if (count++ === 0) breakAfter(hub, folder, 60_000, request, response, bytes);
      else if (count === 2) {
        response.writeHead(206, { "content-range": `bytes 5-${bytes.length - 1}/${bytes.length}` });
        response.end(bytes.subarray(5));
      } else return false;
      return true;
    };
    await get();
    assert.deepEqual(new Uint8Array(readFileSync(join(folder, "model.safetensors"))), bytes);
  });
});

test("content that is not what the hub lists never gets its name", async () => {
  await withHub(async (hub, get, folder) => {
    const bytes = hub.files.get("model.safetensors")!;
    const wrong = bytes.slice();
    wrong[1234] ^= 1;
    hub.spoil = (path, _request, response) => {
      if (path === "model.safetensors") response.end(wrong);
      return path === "model.safetensors";
    };
    await assert.rejects(get(), (error) => error instanceof CheckpointError && error.field === "sha256");
    assert.deepEqual(readdirSync(folder), ["config.json"]);
    hub.spoil = (path, _request, response) => {
      if (path === "config.json") response.end('{"model_type":"bamba"}');
      return path === "config.json";
    };
    rmSync(join(folder, "config.json"));
    await assert.rejects(get(), (error) => error instanceof CheckpointError && error.field === "git hash");
    assert.deepEqual(readdirSync(folder), []);
    hub.spoil = (path, _request, response) => {
      if (path === "config.json") response.end("x".repeat(1e6));
      return path === "config.json";
    };
    await assert.rejects(get(), /exceeds the 22 bytes/);
    assert.ok(!existsSync(join(folder, "config.json")));
  });
});

test("names that lead out of the folder are refused before anything is written", async () => {
  const tricks = [
    "../evil",
    "a/../../evil",
    "/etc/passwd",
    "a//b",
    "./a",
    "a/.",
    "C:\\evil",
    "a\\..\\b",
    "con",
    "nul.txt",
    "a\u0000b",
    "a\nb",
    "evil.",
    "x".repeat(300),
    "",
    7,
    null,
    ".0123.partial",
    "a:b",
  ];
  for (const path of tricks) assert.throws(() => checkRemotePath(path, "hub"), CheckpointError, String(path));
  for (const path of ["config.json", "a/b.safetensors", "模型.json", ".gitattributes"])
    assert.equal(checkRemotePath(path, "hub"), path);
  await withHub(async (hub, get, folder) => {
    for (const path of tricks) {
      hub.entries = () => [
        listed("config.json", hub.files.get("config.json")!),
        { ...listed("x", new Uint8Array(1)), path },
      ];
      await assert.rejects(get({ include: ["*"] }), CheckpointError, String(path));
    }
    assert.deepEqual(readdirSync(folder), []);
    hub.entries = () => [listed("A.json", new Uint8Array(1)), listed("a.json", new Uint8Array(2))];
    await assert.rejects(get(), /twice/);
  });
  for (const name of ["name", "a/b/c", "../x", "org/..", "org/na me", "org/", "http://x/y"])
    await assert.rejects(pull(name, "/nowhere", { endpoint: "http://127.0.0.1:9" }), /ORG\/NAME/, name);
  await assert.rejects(pull("a/b", "/nowhere", { endpoint: "file:///etc" }), /http or https/);
});

test("listings that make no sense are refused, those in pages are followed, but not elsewhere", async () => {
  await withHub(async (hub, get) => {
    const good = listed("config.json", hub.files.get("config.json")!);
    for (const [entries, pattern] of [
      [{ error: "no" }, /not a list/],
      [[{ ...good, size: -1 }], /impossible size/],
      [[{ ...good, size: 1e300 }], /impossible size/],
      [[{ ...good, oid: "xyz" }], /no usable git hash/],
      [[{ ...good, lfs: { oid: "../..", size: 3 } }], /no usable sha256/],
      [[{ ...good, lfs: { oid: "0".repeat(64), size: Number.MAX_SAFE_INTEGER } }], /disk/],
    ] as [Entry[], RegExp][]) {
      hub.entries = () => entries;
      await assert.rejects(get(), pattern);
    }
    hub.spoil = (path, _request, response) => {
      if (path === "/tree") response.end("<html>");
      return path === "/tree";
    };
    await assert.rejects(get(), /not JSON/);
    hub.spoil = (path, request, response) => {
      if (path !== "/tree") return false;
      const second = request.url!.includes("page=2");
      if (!second) response.setHeader("link", `<${"/api/models/org/name/tree/main?page=2"}>; rel="next"`);
      response.end(
        JSON.stringify(second ? [listed("model.safetensors", hub.files.get("model.safetensors")!)] : [good]),
      );
      return true;
    };
    assert.equal((await get()).length, 2);
    hub.spoil = (path, _request, response) => {
      if (path !== "/tree") return false;
      response.setHeader("link", '<http://elsewhere.invalid/x>; rel="next"');
      response.end(JSON.stringify([good]));
      return true;
    };
    await assert.rejects(get(), /leads away/);
  });
});

test("refusals say what to do, a silent server is given up on, a token stays with the endpoint", async () => {
  await withHub(async (hub, get, folder, endpoint) => {
    for (const [status, pattern] of [
      [404, /no such model/],
      [401, /HF_TOKEN/],
      [403, /HF_TOKEN/],
      [503, /run the command again/],
    ] as const) {
      hub.spoil = (path, _request, response) => {
        if (path !== "/tree") return false;
        response.statusCode = status;
        response.end();
        return true;
      };
      await assert.rejects(get(), pattern);
    }
    hub.spoil = (path) => path === "model.safetensors";
    const started = performance.now();
    await assert.rejects(get({ stallMs: 50, retries: 1 }), /run the command again/);
    assert.ok(performance.now() - started < 20_000);
    const controller = new AbortController();
    setTimeout(() => controller.abort(), 50);
    await assert.rejects(get({ signal: controller.signal }), { name: "AbortError" });

    // The hub sends large files on to another host, as real ones do; the token must not follow.
    const seen: (string | undefined)[] = [];
    const store = createServer((request, response) => {
      seen.push(request.headers.authorization);
      answer(hub, request, response, hub.files.get("model.safetensors")!);
    });
    await new Promise<void>((resolve) => store.listen(0, "127.0.0.1", resolve));
    hub.spoil = (path, _request, response) => {
      if (path !== "model.safetensors") return false;
      response.writeHead(302, { location: `http://127.0.0.1:${(store.address() as AddressInfo).port}/blob` });
      response.end();
      return true;
    };
    hub.requests.length = 0;
    await get({ token: "secret" });
    store.closeAllConnections();
    store.close();
    assert.ok(
      hub.requests.every(({ authorization }) => authorization === "Bearer secret"),
      endpoint,
    );
    assert.deepEqual(seen, [undefined]);
    assert.ok(existsSync(join(folder, "model.safetensors")));
  });
});
