// Runs killed with SIGKILL at random moments, several times over, end with the very bits of a run that was left alone.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { Checkpoints } from "./checkpoints.ts";

const script = new URL("./resume.fixture.ts", import.meta.url).pathname;

/** Runs the script; kills it `afterMs` after its `killAt`-th line. True: it finished by itself. */
function run(kind: string, directory: string, killAt: number, afterMs: number): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [script, kind, directory], { stdio: ["ignore", "pipe", "pipe"] });
    let [lines, errors] = [0, ""];
    child.stderr.on("data", (data: Buffer) => {
      errors += data;
    });
    child.stdout.on("data", (data: Buffer) => {
      const before = lines;
      lines += data.toString().split("\n").length - 1;
      if (before < killAt && lines >= killAt) setTimeout(() => child.kill("SIGKILL"), afterMs);
    });
    child.on("exit", (code, signal) => {
      if (code === 0) resolve(true);
      else if (signal === "SIGKILL") resolve(false);
      else reject(new Error(errors));
    });
  });
}

for (const kind of ["pretrain", "sft", "grpo"]) {
  test(`${kind}: killed at random moments, the same bits in the end`, async () => {
    const root = mkdtempSync(join(tmpdir(), "weir-resume-"));
    try {
      const [alone, killed] = [join(root, "alone"), join(root, "killed")];
      assert.ok(await run(kind, alone, Number.POSITIVE_INFINITY, 0));
      let kills = 0;
      for (;;) {
        const limit = kills < 2 ? 1 + Math.floor(Math.random() * 9) : Number.POSITIVE_INFINITY;
        if (await run(kind, killed, limit, Math.random() * 60)) break;
        kills++;
      }
      assert.ok(kills > 0, "no kill came in time");
      console.log(`${kind}: ${kills} kills`);
      const last = (directory: string): [number, Buffer, Buffer] => {
        const checkpoints = new Checkpoints(directory, 2);
        const step = checkpoints.steps().at(-1)!;
        assert.equal(checkpoints.steps().length, 2, "the last two are kept");
        const path = checkpoints.path(step);
        return [
          step,
          readFileSync(join(path, "weir-state.safetensors")),
          readFileSync(join(path, kind === "sft" ? "adapter_model.safetensors" : "model.safetensors")),
        ];
      };
      const [a, b] = [last(alone), last(killed)];
      assert.equal(a[0], b[0]);
      assert.ok(a[1].equals(b[1]), "the training states differ");
      assert.ok(a[2].equals(b[2]), "the weights differ");
      await assert.rejects(run(kind, killed, Number.POSITIVE_INFINITY, 0), /nothing to train/);
    } finally {
      rmSync(root, { recursive: true, force: true });
    }
  });
}
