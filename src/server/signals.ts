// Waiting for the operating system's wish to end.

/** Resolves at the first SIGTERM or SIGINT; a second one ends the process at once. */
export function untilSignal(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    const on = (signal: NodeJS.Signals) => {
      for (const name of ["SIGTERM", "SIGINT"] as const) {
        process.removeListener(name, on);
        process.once(name, () => process.exit(1));
      }
      resolve(signal);
    };
    process.on("SIGTERM", on);
    process.on("SIGINT", on);
  });
}
