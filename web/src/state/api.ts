// Talks to /app/api. Every failure is a RequestError with a code that the dictionary has a sentence for.

export class RequestError extends Error {
  readonly code: string;
  readonly status: number;

  constructor(code: string, status: number, message: string) {
    super(message);
    this.name = "RequestError";
    this.code = code;
    this.status = status;
  }
}

export const base = "/app/api";

let onLoggedOut = (): void => {};
/** Called when a request finds that the session has ended. */
export function whenLoggedOut(listener: () => void): void {
  onLoggedOut = listener;
}

export async function call<T>(method: string, path: string, body?: unknown): Promise<T> {
  let response: Response;
  try {
    response = await fetch(base + path, {
      method,
      headers: method === "GET" ? {} : { "x-weir-app": "1", "content-type": "application/json" },
      body: body === undefined || typeof body === "string" ? body : JSON.stringify(body),
    });
  } catch {
    throw new RequestError("server_gone", 0, "The server cannot be reached.");
  }
  const text = await response.text().catch(() => "");
  let value: { error?: { code?: string; message?: string } };
  try {
    value = text === "" ? {} : JSON.parse(text);
  } catch {
    value = {};
  }
  if (response.ok) return value as T;
  const code = value.error?.code ?? (response.status >= 502 ? "server_gone" : "unknown");
  if (code === "login_needed") onLoggedOut();
  throw new RequestError(code, response.status, value.error?.message ?? response.statusText);
}

export const codeOf = (error: unknown): string => (error instanceof RequestError ? error.code : "unknown");
