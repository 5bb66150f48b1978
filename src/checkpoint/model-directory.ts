// The one way into a checkpoint, whatever its format.
import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import type { OpenSource } from "./byte-source.ts";
import { openFile } from "./byte-source.ts";
import type { Checkpoint } from "./checkpoint.ts";
import { CheckpointError } from "./errors.ts";
import { openGgufModel } from "./gguf-model.ts";
import { openHuggingFace } from "./huggingface.ts";
import { openLlama2c } from "./llama2c.ts";

/**
 * Opens a Hugging Face model directory, a .gguf file (any part of a split one), a directory with exactly one GGUF model, or a .bin of
 * llama2.c. Only headers
 * are read. Throws CheckpointError naming file and field for anything that is not what it claims to be. Close it when done. `open` turns
 * weight files into byte sources; a device's memory map can take the place of positional reads.
 */
export function openCheckpoint(path: string, open: OpenSource = openFile): Checkpoint {
  if (!existsSync(path)) throw new CheckpointError(path, "file", "does not exist");
  if (!statSync(path).isDirectory()) {
    if (path.endsWith(".gguf")) return openGgufModel(path, open);
    if (path.endsWith(".bin")) return openLlama2c(path, open);
    throw new CheckpointError(path, "file", "is no model directory, .gguf file or llama2.c .bin file");
  }
  if (existsSync(join(path, "config.json"))) return openHuggingFace(path, open);
  const models = readdirSync(path)
    .filter((name) => name.endsWith(".gguf") && !/^(mmproj|mtp)-/.test(name))
    .filter((name) => !/-\d{5}-of-\d{5}\.gguf$/.test(name) || /-00001-of-\d{5}\.gguf$/.test(name));
  if (models.length === 1) return openGgufModel(join(path, models[0]), open);
  throw new CheckpointError(
    path,
    "config.json",
    models.length === 0
      ? "is missing, and so is a .gguf file; this is no model directory"
      : `is missing; name one of the ${models.length} .gguf files here`,
  );
}
