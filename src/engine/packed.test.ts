// Packed weights on disk: a second start takes them from the file and answers the same; a file that is not whole is not used.
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout } from "node:timers/promises";
import { openCheckpoint } from "../checkpoint/model-directory.ts";
import { smallModel } from "../checkpoint/models.fixture.ts";
import { writeGgufModel } from "../checkpoint/write-model.ts";
import { type Device, TensorError } from "../tensor/device.ts";
import { openDevice } from "../tensor/devices.ts";
import type { NativeDevice } from "../tensor/native.ts";
import { LocalEngine } from "./local-engine.ts";
import { ServedModel } from "./model.ts";

const home = mkdtempSync(join(tmpdir(), "weir-packed-"));
const folder = join(home, "packed");
const model = join(home, "model.gguf");
const environment = { ...process.env };
let native: Device | undefined;

before(async () => {
  process.env.WEIR_HOME = home;
  process.env.WEIR_PACKED_LEAST = "0";
  writeGgufModel(model, smallModel("deepseek_v3"), { dtype: "Q8_0" });
  try {
    native = await openDevice({ device: "native", threads: 1 });
  } catch (error) {
    if (!(error instanceof TensorError)) throw error;
    console.log("no native kernels here; weights are kept packed for them alone");
  }
});
after(() => {
  process.env = environment;
  native?.close();
  rmSync(home, { recursive: true, force: true });
});

/** Greedy tokens of a model opened anew. */
function answer(device: Device): number[] {
  const checkpoint = openCheckpoint(model);
  const engine = new LocalEngine(new ServedModel(device, checkpoint.config, { checkpoint }), { name: "small" });
  checkpoint.close();
  const [events] = engine.generateAll([
    { prompt: [1, 2, 3, 4, 5], maxTokens: 8, ignoreEos: true, sampling: { temperature: 0 } },
  ]);
  void engine.close();
  return events.flatMap((event) => (event.type === "token" ? [event.id] : []));
}

/** The file, once the disk has it. */
async function written(): Promise<string> {
  for (;;) {
    const [name] = readdirSync(folder).filter((file) => file.endsWith(".weights"));
    if (name) return join(folder, name);
    await setTimeout(5);
  }
}

test("a second start takes packed weights from their file; a broken or foreign file is replaced", async () => {
  if (!native) return;
  const first = answer(native);
  const path = await written();
  // The file is used: nothing but the small matrices that tell layouts apart is packed again.
  const device = native as NativeDevice;
  const pack = device.pack.bind(device);
  let packed = 0;
  device.pack = (buffer) => {
    if (`${buffer.shape}` !== "24,512") packed++;
    return pack(buffer);
  };
  assert.deepEqual(answer(device), first);
  assert.equal(packed, 0);
  const whole = readFileSync(path);
  const changed = (from: number): Uint8Array => Uint8Array.from(whole, (byte, i) => (i === from ? byte ^ 0x55 : byte));
  for (const breakIt of [
    () => writeFileSync(path, changed(0)),
    () => writeFileSync(path, changed(whole.length - 100)),
    () => writeFileSync(path, changed(whole.length - 20)),
    () => truncateSync(path, whole.length - 5),
    () => truncateSync(path, whole.length >> 1),
    () => writeFileSync(path, "not packed weights"),
  ]) {
    breakIt();
    packed = 0;
    assert.deepEqual(answer(device), first);
    assert.ok(packed > 0);
    while (!readFileSync(path).equals(whole)) await setTimeout(5);
  }
  device.pack = pack;
});

test("without a folder to write to weights are packed at every start", () => {
  if (!native) return;
  const first = answer(native);
  rmSync(folder, { recursive: true });
  writeFileSync(folder, "in the way");
  assert.deepEqual(answer(native), first);
  rmSync(folder);
  mkdirSync(folder);
});
