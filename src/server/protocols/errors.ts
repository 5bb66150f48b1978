// Which protocol's error shape a path gets.
import type { ServerError } from "../errors.ts";
import { openaiError } from "./openai/routes.ts";

export function errorFor(_path: string, error: ServerError, _requestId: string | undefined): object {
  return openaiError(error);
}
