// Files that appear whole or not at all: written under a temporary name beside their place, flushed, then renamed.
import { closeSync, fsyncSync, openSync, readdirSync, renameSync, rmSync, statSync, writeSync } from "node:fs";
import { dirname, join } from "node:path";

const SUFFIX = ".partial";
const DAY_MS = 24 * 3600 * 1000;
let counter = 0;

/** A name in the same folder that no other writer uses. */
export function temporaryName(path: string): string {
  return join(dirname(path), `.${process.pid}-${counter++}-${Date.now().toString(36)}${SUFFIX}`);
}

/** Removes what writers that were killed have left in a folder: temporary files that nobody has touched for a day. */
export function sweepTemporaries(folder: string): void {
  for (const name of readdirSync(folder)) {
    if (!name.endsWith(SUFFIX)) continue;
    const path = join(folder, name);
    try {
      if (Date.now() - statSync(path).mtimeMs > DAY_MS) rmSync(path, { recursive: true, force: true });
    } catch {
      // Renamed or removed meanwhile.
    }
  }
}

/** Sequential writing; nothing shows under `path` before `commit`. */
export class AtomicFile {
  readonly path: string;
  readonly #temporary: string;
  #descriptor: number | null;
  /** Bytes written so far. */
  position = 0;

  constructor(path: string) {
    this.path = path;
    this.#temporary = temporaryName(path);
    this.#descriptor = openSync(this.#temporary, "wx");
  }

  write(bytes: Uint8Array): void {
    let done = 0;
    while (done < bytes.byteLength)
      done += writeSync(this.#descriptor!, bytes, done, Math.min(bytes.byteLength - done, 2 ** 30));
    this.position += done;
  }

  /** Zero bytes up to the next multiple of `alignment`. */
  pad(alignment: number): void {
    const rest = this.position % alignment;
    if (rest !== 0) this.write(new Uint8Array(alignment - rest));
  }

  commit(): void {
    fsyncSync(this.#descriptor!);
    closeSync(this.#descriptor!);
    this.#descriptor = null;
    renameSync(this.#temporary, this.path);
  }

  /** Removes what was written; after `commit` it does nothing. */
  abort(): void {
    if (this.#descriptor === null) return;
    closeSync(this.#descriptor);
    this.#descriptor = null;
    rmSync(this.#temporary, { force: true });
  }
}

/** Runs `fill` on a file that is committed when it returns and removed when it throws. */
export function writeAtomically(path: string, fill: (file: AtomicFile) => void): void {
  const file = new AtomicFile(path);
  try {
    fill(file);
    file.commit();
  } finally {
    file.abort();
  }
}

export function writeTextAtomically(path: string, text: string): void {
  writeAtomically(path, (file) => file.write(new TextEncoder().encode(text)));
}
