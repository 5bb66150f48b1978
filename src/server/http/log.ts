// One JSON line per event on standard error. What people and models wrote never gets in here.
export interface Log {
  info(event: string, facts?: Record<string, unknown>): void;
  error(event: string, facts?: Record<string, unknown>): void;
}

export function createLog(
  level: "silent" | "error" | "info",
  write: (line: string) => void = (line) => void process.stderr.write(line),
): Log {
  const line = (severity: string, event: string, facts: Record<string, unknown> = {}) =>
    write(`${JSON.stringify({ time: new Date().toISOString(), level: severity, event, ...facts })}\n`);
  return {
    info: (event, facts) => level === "info" && line("info", event, facts),
    error: (event, facts) => level !== "silent" && line("error", event, facts),
  };
}
