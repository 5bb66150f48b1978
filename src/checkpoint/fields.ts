// Reads single fields out of an untrusted JSON object, with bounds; every refusal names file and field.
import { CheckpointError, show } from "./errors.ts";

export class Fields {
  readonly file: string;
  readonly prefix: string;
  readonly #object: Record<string, unknown>;

  constructor(file: string, object: unknown, prefix = "") {
    this.file = file;
    this.prefix = prefix;
    if (typeof object !== "object" || object === null || Array.isArray(object))
      throw new CheckpointError(file, prefix || "content", `must be a JSON object, is ${show(object)}`);
    this.#object = object as Record<string, unknown>;
  }

  fail(key: string, problem: string): never {
    throw new CheckpointError(this.file, this.prefix + key, problem);
  }

  /** The value; undefined where absent or null. */
  value(key: string): unknown {
    const value = Object.hasOwn(this.#object, key) ? this.#object[key] : undefined;
    return value === null ? undefined : value;
  }

  has(key: string): boolean {
    return this.value(key) !== undefined;
  }

  #or<T>(key: string, value: T | undefined): T {
    if (value === undefined) this.fail(key, "is missing");
    return value;
  }

  /** A whole number in [min, max]; `fallback` where absent, an error where absent and no fallback is given. */
  int(key: string, min: number, max: number, fallback?: number): number {
    const value = this.value(key);
    if (value === undefined) return this.#or(key, fallback);
    if (typeof value !== "number" || !Number.isInteger(value) || value < min || value > max)
      this.fail(key, `must be a whole number from ${min} to ${max}, is ${show(value)}`);
    return value;
  }

  number(key: string, min: number, max: number, fallback?: number): number {
    const value = this.value(key);
    if (value === undefined) return this.#or(key, fallback);
    if (typeof value !== "number" || !(value >= min && value <= max))
      this.fail(key, `must be a number from ${min} to ${max}, is ${show(value)}`);
    return value;
  }

  boolean(key: string, fallback: boolean): boolean {
    const value = this.value(key);
    if (value === undefined) return fallback;
    if (typeof value !== "boolean") this.fail(key, `must be true or false, is ${show(value)}`);
    return value;
  }

  oneOf<T extends string>(key: string, allowed: readonly T[], fallback?: T): T {
    const value = this.value(key);
    if (value === undefined) return this.#or(key, fallback);
    if (!(allowed as readonly unknown[]).includes(value))
      this.fail(key, `must be one of ${allowed.join(", ")}; is ${show(value)}`);
    return value as T;
  }

  /** A list of exactly or at least `length` entries, or undefined. */
  list(key: string): unknown[] | undefined {
    const value = this.value(key);
    if (value === undefined) return undefined;
    if (!Array.isArray(value)) this.fail(key, `must be a list, is ${show(value)}`);
    if (value.length > 100_000) this.fail(key, `has ${value.length} entries; at most 100000 make sense`);
    return value;
  }

  object(key: string): Fields | undefined {
    const value = this.value(key);
    return value === undefined ? undefined : new Fields(this.file, value, `${this.prefix}${key}.`);
  }
}
