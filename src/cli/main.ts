// Finds the command file that a name asks for and runs it. One file per command under commands/; a new file there
// is a new command, nothing else has to be told of it.
import { readdirSync } from "node:fs";
import type { Command } from "./command.ts";
import { UsageError } from "./command.ts";

function names(): string[] {
  return readdirSync(new URL("./commands/", import.meta.url))
    .filter((file) => file.endsWith(".ts") && !file.endsWith(".test.ts"))
    .map((file) => file.slice(0, -3))
    .sort();
}

async function load(name: string): Promise<Command> {
  return (await import(new URL(`./commands/${name}.ts`, import.meta.url).href)).default;
}

async function help(): Promise<void> {
  console.log(
    "Weir 堰: train, align, distil, serve and use DeepSeek-architecture models.\n\nUsage: weir COMMAND [options]\n",
  );
  for (const name of names()) console.log(`  ${name.padEnd(11)} ${(await load(name)).summary}`);
  console.log("\n  weir COMMAND --help explains one command. 查看单个命令的说明。");
}

/** What the operating system says about a file, as a person would say it. */
const SYSTEM: Record<string, string> = {
  ENOENT: "does not exist",
  EACCES: "may not be accessed by this user",
  EPERM: "may not be accessed by this user",
  EISDIR: "is a directory; a file was expected",
  ENOTDIR: "lies below a file; a directory was expected",
  ENOSPC: "cannot be written: the disk is full",
};

/** The message of an error, without the words of the system's and the parser's own. */
function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { code = "", path } = error as NodeJS.ErrnoException;
  if (path !== undefined && code in SYSTEM) return `${path} ${SYSTEM[code]}`;
  // parseArgs adds a lesson about dashes behind the first sentence.
  if (code.startsWith("ERR_PARSE_ARGS")) return error.message.split(/\.? To specify|\. This command|\n/)[0];
  return error.message;
}

/** Runs `weir ARGS`; returns the exit code (2 for a mistake in the arguments, 1 for a failure). */
export async function main(args: string[]): Promise<number> {
  // `weir help run` is `weir run --help`.
  const [name, ...rest] = args[0] === "help" && args.length > 1 ? [args[1], "--help"] : args;
  if (name === undefined || name === "help" || name === "--help" || name === "-h") {
    await help();
    return name === undefined ? 2 : 0;
  }
  if (!names().includes(name)) {
    console.error(`weir: no command '${name}'. The commands: ${names().join(", ")}.`);
    return 2;
  }
  const command = await load(name);
  if (rest.includes("--help") || rest.includes("-h")) {
    console.log(command.usage);
    return 0;
  }
  try {
    return await command.run(rest);
  } catch (error) {
    const mistake = error instanceof UsageError || (error as { code?: string }).code?.startsWith("ERR_PARSE_ARGS");
    console.error(`weir ${name}: ${messageOf(error)}`);
    if (mistake) console.error(`'weir ${name} --help' explains the command.`);
    if (process.env.WEIR_DEBUG && error instanceof Error) console.error(error.stack);
    return mistake ? 2 : 1;
  }
}
