// The application's one error: a code that the page has a sentence for in both languages, a status, and a sentence in
// English for whoever reads the wire.

export class AppError extends Error {
  readonly status: 400 | 401 | 403 | 404 | 409 | 413 | 415 | 422 | 429 | 500 | 503;
  readonly code: string;
  readonly details: Record<string, string | number>;

  constructor(
    status: AppError["status"],
    code: string,
    message: string,
    details: Record<string, string | number> = {},
  ) {
    super(message);
    this.name = "AppError";
    this.status = status;
    this.code = code;
    this.details = details;
  }
}

export const notFound = (what: string): AppError => new AppError(404, "not_found", `There is no such ${what}.`);
