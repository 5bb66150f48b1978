// Which protocol's error shape and status a path gets.
import type { ServerError } from "../errors.ts";
import { anthropicError, anthropicStatus } from "./anthropic/routes.ts";
import { deepseekError, deepseekStatus } from "./deepseek/routes.ts";
import { openaiError } from "./openai/routes.ts";

export function errorFor(
  path: string,
  error: ServerError,
  requestId: string | undefined,
): { status: number; body: object } {
  if (path.startsWith("/anthropic/") || path === "/v1/messages" || path.startsWith("/v1/messages/"))
    return { status: anthropicStatus(error), body: anthropicError(error, requestId) };
  if (/^\/(?:beta|chat|completions|models|user)\b/.test(path) || path.startsWith("/v1/tools/"))
    return { status: deepseekStatus(error), body: deepseekError(error) };
  return { status: error.status, body: openaiError(error) };
}
