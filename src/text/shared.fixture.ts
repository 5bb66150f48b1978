// Test material outside the repository and a reader of GGUF metadata for tests; not part of the library.

import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** The path of a file under ../shared, or undefined (said aloud) where it is not there. */
export function shared(path: string): string | undefined {
  const full = fileURLToPath(new URL(`../../../shared/${path}`, import.meta.url));
  if (existsSync(full)) return full;
  console.log(`# ../shared/${path} is not here: what it would prove is not proven in this run`);
  return undefined;
}

/** The metadata of a GGUF file, key by key (inference.md D: header, then typed key-value pairs). */
export function ggufMetadata(path: string): Map<string, unknown> {
  const file = readFileSync(path);
  let at = 8;
  const number = (type: number): number | boolean => {
    const start = at;
    switch (type) {
      case 0:
        at += 1;
        return file.readUInt8(start);
      case 1:
        at += 1;
        return file.readInt8(start);
      case 2:
        at += 2;
        return file.readUInt16LE(start);
      case 3:
        at += 2;
        return file.readInt16LE(start);
      case 4:
        at += 4;
        return file.readUInt32LE(start);
      case 5:
        at += 4;
        return file.readInt32LE(start);
      case 6:
        at += 4;
        return file.readFloatLE(start);
      case 7:
        at += 1;
        return file.readUInt8(start) !== 0;
      case 10:
        at += 8;
        return Number(file.readBigUInt64LE(start));
      case 11:
        at += 8;
        return Number(file.readBigInt64LE(start));
      case 12:
        at += 8;
        return file.readDoubleLE(start);
      default:
        throw new Error(`GGUF value type ${type}`);
    }
  };
  const text = (): string => {
    const length = number(10) as number;
    at += length;
    return file.toString("utf8", at - length, at);
  };
  const value = (type: number): unknown => {
    if (type === 8) return text();
    if (type !== 9) return number(type);
    const inner = number(4) as number;
    return Array.from({ length: number(10) as number }, () => value(inner));
  };
  number(10); // tensors
  const keys = number(10) as number;
  const found = new Map<string, unknown>();
  for (let k = 0; k < keys; k++) found.set(text(), value(number(4) as number));
  return found;
}
