// The contract of one `weir` command and the errors it may end with. Argument parsing is node:util's parseArgs.

export interface Command {
  /** One line for the list that `weir help` prints. */
  summary: string;
  /** The full help text, printed by `weir COMMAND --help`. */
  usage: string;
  /** Runs the command; the result is the process's exit code. */
  run(args: string[]): Promise<number>;
}

/** A mistake in the arguments: the message names the value and the way out; exit code 2. */
export class UsageError extends Error {}
