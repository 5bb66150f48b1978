// The one error that the server's inner parts throw; each protocol writes it in its own shape. Messages are written for
// the person who sent the request: what was wrong, and what to send instead.
import { EngineError } from "../engine/types.ts";

export type ErrorStatus =
  | 400
  | 401
  | 402
  | 403
  | 404
  | 405
  | 408
  | 409
  | 413
  | 415
  | 422
  | 429
  | 499
  | 500
  | 501
  | 502
  | 503
  | 504;

export class ServerError extends Error {
  readonly status: ErrorStatus;
  /** A stable word such as "model_not_found". */
  readonly code: string;
  /** The request's field at fault, as a path: "messages[0].content". */
  readonly field: string | undefined;
  /** Seconds until a retry makes sense (429 and 503). */
  readonly retryAfter: number | undefined;

  constructor(
    status: ErrorStatus,
    code: string,
    message: string,
    detail: { field?: string; retryAfter?: number } = {},
  ) {
    super(message);
    this.name = "ServerError";
    this.status = status;
    this.code = code;
    this.field = detail.field;
    this.retryAfter = detail.retryAfter;
  }
}

export function invalid(field: string, message: string, code = "invalid_value"): ServerError {
  return new ServerError(400, code, message, { field });
}

export function notAvailable(what: string, wayOut: string): ServerError {
  return new ServerError(501, "not_available", `${what} is not available on this server. ${wayOut}`);
}

const engineStatus: Record<string, ErrorStatus> = {
  context_length_exceeded: 400,
  invalid_parameter: 400,
  unsatisfiable_grammar: 400,
  unknown_adapter: 404,
  adapter_mismatch: 400,
  queue_full: 503,
  out_of_memory: 503,
  closed: 503,
};

/** Any thrown value as a ServerError; what was not foreseen becomes a 500 that tells nothing of the inside. */
export function toServerError(error: unknown): ServerError {
  if (error instanceof ServerError) return error;
  if (error instanceof EngineError) {
    const status = engineStatus[error.code] ?? 500;
    const retryAfter = status === 503 ? 5 : undefined;
    return new ServerError(status, error.code, error.message, { field: error.field, retryAfter });
  }
  return new ServerError(
    500,
    "internal_error",
    "The server met an error of its own; its log has the details under this request's id.",
  );
}
