// Looks for a C compiler: the build of the native kernels uses what this finds, and `weir doctor` tells of it. Node only.
import { spawnSync } from "node:child_process";

export interface Compiler {
  /** The command and its first arguments. */
  command: string[];
  /** The first line that it prints about itself. */
  version: string;
}

/** The names tried, in order; CC alone where it is set. */
export const compilerNames = (): string[] => (process.env.CC ? [process.env.CC] : ["cc", "clang", "gcc", "clang-19"]);

/** The first compiler that answers. */
export function findCompiler(): Compiler | undefined {
  for (const name of compilerNames()) {
    const command = name.split(" ");
    const answer = spawnSync(command[0], [...command.slice(1), "--version"], { encoding: "utf8" });
    if (answer.status === 0) return { command, version: answer.stdout.split("\n")[0] };
  }
  return undefined;
}
