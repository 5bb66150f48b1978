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
    "Weir: train, align, distil, serve and use DeepSeek-architecture models.\n\nUsage: weir COMMAND [options]\n",
  );
  for (const name of names()) console.log(`  ${name.padEnd(11)} ${(await load(name)).summary}`);
  console.log("\n  weir COMMAND --help explains one command.");
}

/** Runs `weir ARGS`; returns the exit code (2 for a mistake in the arguments, 1 for a failure). */
export async function main(args: string[]): Promise<number> {
  const [name, ...rest] = args;
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
    const message = error instanceof Error ? error.message : String(error);
    console.error(`weir ${name}: ${message}`);
    if (process.env.WEIR_DEBUG && error instanceof Error) console.error(error.stack);
    return mistake ? 2 : 1;
  }
}
