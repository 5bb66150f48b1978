// The one error of this folder: a file that is not what it claims to be. Where to go from there is the caller's business.

/** A checkpoint that cannot be used; names the file and the field (tensor, key, header part) at fault. */
export class CheckpointError extends Error {
  readonly file: string;
  readonly field: string;

  constructor(file: string, field: string, problem: string, options?: ErrorOptions) {
    super(`${file}: ${field}: ${problem}`, options);
    this.name = "CheckpointError";
    this.file = file;
    this.field = field;
  }
}

/** A value from outside, short and safe enough for an error message or a terminal. */
export function show(value: unknown): string {
  let text: string;
  if (typeof value === "string") text = JSON.stringify(value);
  else if (typeof value === "bigint") text = String(value);
  else if (typeof value === "object" && value !== null) text = Array.isArray(value) ? "a list" : "an object";
  else text = String(value);
  text = text.replace(/[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g, "?");
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}
