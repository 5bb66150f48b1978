// The devices as such: lives of buffers and programs, bad input, threads, memory over many runs. What instructions compute is tested in
// ops/.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { Worker } from "node:worker_threads";
import { type Device, TensorError, type TensorErrorCode } from "./device.ts";
import { encodeProgram, PROGRAM_MAGIC } from "./encode.ts";
import { mapFile, NativeDevice, nativeIsas, nativePath } from "./native.ts";
import { add, copy, dot, fill, multiply, scale } from "./ops/elementwise.ts";
import { planMemory } from "./plan.ts";
import { dim, Program, type Tensor } from "./program.ts";
import { ReferenceDevice } from "./reference.ts";
import { integers, uniform } from "./testing.ts";
import { WasmDevice } from "./wasm.ts";

const openers: Record<string, (threads: number) => Promise<Device>> = {
  native: async (threads) => new NativeDevice({ threads, grain: 0 }),
  wasm: (threads) => WasmDevice.open({ threads, grain: 0 }),
};

/** out = 3 · (x + w), copied = ids; T rows of 8. */
function small(): Program {
  const program = new Program("small");
  const rows = dim(program.register("T", 100));
  const x = program.input("x", "f32", [rows, 8]);
  const w = program.param("w", "f32", [100, 8]);
  const ids = program.input("ids", "i32", [rows], { min: 0, max: 50 });
  program.output(scale(add(x, copy(x)), 1.5), "out");
  program.output(copy(ids), "copied");
  program.output(dot(w, w), "norm");
  return program;
}

const fails = (code: TensorErrorCode, pattern: RegExp) => (error: unknown) =>
  error instanceof TensorError && error.code === code && pattern.test(error.message);

const outOf = (device: Device): number => {
  const executable = device.compile(small());
  executable.buffer("x").view().fill(2);
  executable.run({ T: 3 });
  const value = executable.buffer("out").view()[23];
  executable.free();
  return value;
};

for (const [name, open] of Object.entries(openers)) {
  test(`${name}: bad sizes, indices and bindings are typed errors, and the device goes on`, async () => {
    const device = await open(2);
    const executable = device.compile(small());
    const ids = executable.buffer("ids").view();
    assert.throws(() => executable.run(), fails("size_out_of_range", /register T was not given/));
    for (const T of [-1, 101, 1.5, Number.NaN, 2 ** 40])
      assert.throws(() => executable.run({ T }), fails("size_out_of_range", /register T must be/));
    await assert.rejects(executable.runAsync({ T: 101 }), fails("size_out_of_range", /from 0 to 100, not 101/));
    for (const bad of [-1, 50, -(2 ** 31), 2 ** 31 - 1]) {
      ids[99] = bad;
      assert.throws(
        () => executable.run({ T: 100 }),
        fails("index_out_of_range", /ids\[99\] is -?\d+, but must lie in 0..49/),
      );
      await assert.rejects(executable.runAsync({ T: 100 }), fails("index_out_of_range", /ids\[99\]/));
      executable.run({ T: 99 }); // beyond the rows in use nothing is checked
    }
    ids[99] = 49;
    executable.run({ T: 100 });
    assert.equal(executable.buffer("copied").view()[99], 49);
    assert.throws(() => executable.buffer("t3"), fails("wrong_binding", /no buffer for t3/));

    const other = await open(1);
    const reference = new ReferenceDevice();
    const bad: [Record<string, ReturnType<Device["buffer"]>>, RegExp][] = [
      [{ w: device.buffer("f32", [99, 8]) }, /w is f32\[100,8\], but f32\[99,8\]/],
      [{ w: device.buffer("i32", [100, 8]) }, /but i32/],
      [{ nobody: device.buffer("f32", [1]) }, /no tensor named nobody/],
      [{ w: reference.buffer("f32", [100, 8]) }, /another device/],
    ];
    for (const [bindings, pattern] of bad)
      assert.throws(() => device.compile(small(), bindings), fails("wrong_binding", pattern));
    const freed = device.buffer("f32", [100, 8]);
    freed.free();
    freed.free();
    assert.throws(() => device.compile(small(), { w: freed }), fails("closed", /was freed/));
    assert.throws(() => freed.view(), fails("closed", /was freed/));
    assert.throws(
      () => device.buffer("f32", [2, 3], [1, 2]),
      fails("wrong_binding", /2 values were given for a buffer of 6/),
    );
    assert.throws(() => device.buffer("f32", [-1]), fails("size_out_of_range", /no shape/));
    for (const shape of [
      [2 ** 20, 2 ** 25],
      [2 ** 40, 2 ** 40],
    ])
      assert.throws(() => device.buffer("f32", shape), fails("out_of_memory", /no memory/));
    for (const threads of [0, -1, 1.5, 1000])
      assert.throws(() => (device.threads = threads), fails("size_out_of_range", /threads/));

    executable.free();
    executable.free();
    assert.throws(() => executable.run({ T: 1 }), fails("closed", /was freed/));
    await assert.rejects(executable.runAsync({ T: 1 }), fails("closed", /was freed/));
    assert.equal(outOf(device), 6);
    device.close();
    assert.throws(() => device.buffer("f32", [1]), fails("closed", /closed/));
    assert.throws(() => device.compile(small()), fails("closed", /closed/));
    assert.equal(outOf(other), 6);
    other.close();
  });

  test(`${name}: temps that do not fit in memory are an error, not an end`, async () => {
    const device = await open(1);
    const program = new Program("large");
    const rows = dim(program.register("T", 2 ** 30));
    program.output(dot(fill(program, [rows, 65536], 1), fill(program, [rows, 65536], 2)), "sum");
    assert.throws(() => device.compile(program), fails("out_of_memory", /no memory for the program's temps/));
    assert.equal(outOf(device), 6);
    device.close();
  });

  test(`${name}: a shared buffer outlives the executables that hold it, and the last one ends it`, async () => {
    const device = await open(1);
    const w = device.buffer("f32", [100, 8], uniform(1, 800));
    const [a, b] = [device.compile(small(), { w }), device.compile(small(), { w })];
    assert.equal(a.buffer("w"), w);
    a.run({ T: 1 });
    w.free(); // still bound
    a.free();
    b.run({ T: 1 });
    const expected = uniform(1, 800).reduce((sum, value) => sum + value * value, 0);
    assert.ok(Math.abs(b.buffer("norm").view()[0] - expected) < 1e-3);
    b.free();
    assert.throws(() => w.view(), fails("closed", /freed/));
    device.close();
  });

  test(`${name}: asynchronous runs keep their order, and a program may be freed under way`, async () => {
    const device = await open(2);
    const program = new Program("count");
    const total = program.state("total", "f32", [4096]);
    const step = program.input("step", "f32", [4096]);
    add(scale(total, 2), step, total);
    const executable = device.compile(program);
    executable.buffer("step").view().fill(1);
    await Promise.all(Array.from({ length: 10 }, () => executable.runAsync()));
    const view = executable.buffer("total").view();
    assert.deepEqual(new Set(view), new Set([2 ** 10 - 1]));
    const last = executable.runAsync();
    executable.free();
    await last;
    await assert.rejects(executable.runAsync(), fails("closed", /freed/));
    device.close();
  });

  test(`${name}: a thousand barriers with 1, 2 and 3 threads give the same bits, run after run`, async () => {
    const program = new Program("chain");
    const rows = dim(program.register("T", 3000));
    const x = program.input("x", "f32", [rows, 5]);
    let [a, b]: Tensor[] = [scale(x, 0.5), scale(x, 0.25)];
    for (let i = 0; i < 330; i++) [a, b] = [add(multiply(a, b), x), scale(add(a, b), 0.49)];
    program.output(add(a, b), "out");
    assert.ok(planMemory(program).barrierBefore.filter(Boolean).length > 300);
    let first: Float32Array | undefined;
    for (const threads of [1, 2, 3]) {
      const device = await open(threads);
      const executable = device.compile(program);
      executable.buffer("x").view().set(uniform(3, 15000));
      for (let run = 0; run < 20; run++) {
        executable.run({ T: 3000 });
        const out = (executable.buffer("out").view() as Float32Array).slice();
        first ??= out;
        assert.ok(
          out.every((value, i) => Object.is(value, (first as Float32Array)[i])),
          `${threads} threads, run ${run}`,
        );
        executable.run({ T: run }); // other sizes in between
      }
      executable.free();
      device.close();
    }
  });

  test(`${name}: a thousand executions, programs and buffers leave no memory behind`, async () => {
    const device = await open(2);
    const program = small();
    const executable = device.compile(program);
    const round = async (count: number): Promise<void> => {
      for (let i = 0; i < count; i++) {
        executable.run({ T: (i % 100) + 1 });
        await executable.runAsync({ T: 100 });
        if (i % 10 === 0) {
          const another = device.compile(program);
          another.run({ T: 100 });
          another.free();
          device.buffer("f32", [300_000]).free();
        }
      }
    };
    // Heap statistics need a collection; without --expose-gc the flag is set for a fresh context.
    const { setFlagsFromString } = await import("node:v8");
    setFlagsFromString("--expose-gc");
    const collect = (await import("node:vm")).runInNewContext("gc") as () => void;
    const rest = async (): Promise<number> => {
      for (let i = 0; i < 3; i++) {
        collect();
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      return process.memoryUsage().rss;
    };
    await round(300);
    const before = await rest();
    await round(1000);
    const grown = (await rest()) - before;
    // 100 buffers of 1.2 MB and 100 programs came and went: a leak of either would show as tens of megabytes.
    assert.ok(grown < 12 << 20, `${grown} bytes more after 1,000 executions`);
    executable.free();
    device.close();
  });
}

interface RawAddon {
  isas(): { kernels: string[] }[];
  device(isa: number): object;
  program(device: object, words: Int32Array, arena: number, report: Float64Array): unknown;
  bind(program: unknown, slot: number, data: Uint8Array, report: Float64Array): string | undefined;
  run(program: unknown, registers: Int32Array, report: Float64Array): unknown;
  threads(device: unknown, threads: number, grain: number): void;
}

test("native: words that are no program are refused, whatever they are", () => {
  const addon = createRequire(import.meta.url)(nativePath()) as RawAddon;
  const kernels = addon.isas()[0].kernels;
  const program = small();
  const plan = planMemory(program);
  const { words } = encodeProgram(program, plan, (name) => kernels.indexOf(name));
  const device = addon.device(0);
  const report = new Float64Array(4);
  const status = (changed: Int32Array, arena = plan.arenaBytes): number => {
    addon.program(device, changed, arena, report);
    return report[0];
  };
  assert.equal(words[0], PROGRAM_MAGIC);
  assert.equal(status(words), 0);
  assert.equal(status(new Int32Array(0)), 1);
  assert.equal(status(words, plan.arenaBytes - 64), 1, "a temp beyond the arena");
  for (let cut = 0; cut < words.length; cut++) assert.equal(status(words.slice(0, cut)), 1, `cut to ${cut} words`);
  assert.equal(status(Int32Array.from([...words, 0])), 1);
  const values = [-1, -2, 0, 1, 2, 64, 255, 2 ** 24, 2 ** 30, 2 ** 31 - 1, -(2 ** 31)];
  let refused = 0;
  for (let at = 0; at < words.length; at++) {
    for (const value of values) {
      const changed = words.slice();
      changed[at] = value;
      if (status(changed) !== 0) refused++;
    }
  }
  assert.ok(refused > words.length, `only ${refused} of ${words.length * values.length} changes were refused`);
  for (let round = 0; round < 3000; round++) {
    const changed = words.slice();
    const noise = integers(round, 8, 2 ** 31 - 1);
    for (let i = 0; i < 4; i++) changed[noise[i] % words.length] = noise[4 + i] - 2 ** 30;
    status(changed);
  }
  assert.equal(status(words), 0);
});

test("native: handles of the wrong kind, missing arguments and unbound slots are errors", () => {
  const addon = createRequire(import.meta.url)(nativePath()) as RawAddon;
  const device = addon.device(0);
  const report = new Float64Array(4);
  assert.throws(() => addon.run(device, new Int32Array(0), report), /not a handle of the right kind/);
  assert.throws(() => addon.run({}, new Int32Array(0), report), /not a handle/);
  assert.throws(() => addon.threads("x", 1, 1), /not a handle/);
  assert.throws(() => (addon.run as (x: unknown) => void)(device), /too few arguments/);
  assert.throws(() => addon.device(99), /no such instruction set/);
  const program = small();
  const plan = planMemory(program);
  const kernels = addon.isas()[0].kernels;
  const handle = addon.program(
    device,
    encodeProgram(program, plan, (name) => kernels.indexOf(name)).words,
    plan.arenaBytes,
    report,
  );
  assert.match(String(addon.run(handle, Int32Array.of(1), report)), /nothing is bound/);
  assert.equal(report[0], 3);
  assert.match(String(addon.bind(handle, 77, new Uint8Array(4), report)), /no such slot/);
  assert.match(String(addon.bind(handle, 0, new Uint8Array(4), report)), /too small/);
  assert.match(String(addon.bind(handle, 0, new Uint8Array(8000).subarray(1), report)), /not aligned/);
  assert.throws(() => addon.bind(handle, 0, "bytes" as unknown as Uint8Array, report), /not a typed array/);
});

test("native: bytes of a SharedArrayBuffer and of a mapped file are used in place", () => {
  const device = new NativeDevice({ threads: 1 });
  const shared = new Uint8Array(new SharedArrayBuffer(3200));
  const w = device.wrap("f32", [100, 8], shared);
  const executable = device.compile(small(), { w });
  new Float32Array(shared.buffer).fill(0.5);
  executable.run({ T: 1 });
  assert.equal(executable.buffer("norm").view()[0], 200);
  executable.free();

  const folder = mkdtempSync(join(tmpdir(), "weir-map-"));
  const path = join(folder, "weights");
  writeFileSync(path, new Uint8Array(new Float32Array(801).fill(0.25).buffer));
  const mapped = mapFile(path);
  assert.equal(mapped.length, 3204);
  const fromFile = device.compile(small(), { w: device.wrap("f32", [100, 8], mapped.subarray(4)) });
  fromFile.run({ T: 1 });
  assert.equal(fromFile.buffer("norm").view()[0], 50);
  mapped[4] = 99; // private: the file keeps its bytes
  assert.notEqual(mapFile(path)[4], 99);
  fromFile.free();
  assert.throws(() => device.wrap("f32", [100, 8], mapped.subarray(2, 3202)), fails("wrong_binding", /byte offset 2/));
  assert.throws(() => device.wrap("f32", [100, 8], mapped), fails("wrong_binding", /takes 3200 bytes, not 3204/));
  assert.throws(() => mapFile(join(folder, "absent")), /cannot be opened/);
  assert.throws(() => mapFile(folder), /no regular file/);
  rmSync(folder, { recursive: true });
  device.close();
});

test("native: an unknown instruction set is refused by name, every known one runs", () => {
  assert.throws(
    () => new NativeDevice({ isa: "avx9000" }),
    fails("no_kernel", /no instruction set avx9000; it has base/),
  );
  for (const { name } of nativeIsas()) {
    const device = new NativeDevice({ isa: name, threads: 1 });
    assert.match(device.description, new RegExp(name));
    assert.equal(outOf(device), 6);
    device.close();
  }
});

test("native: devices in several Node threads compute beside each other", async () => {
  const source = `
    const { parentPort } = require("node:worker_threads");
    (async () => {
      const base = ${JSON.stringify(new URL(".", import.meta.url).href)};
      const { NativeDevice } = await import(base + "native.ts");
      const { Program } = await import(base + "program.ts");
      const { scale } = await import(base + "ops/elementwise.ts");
      const device = new NativeDevice({ threads: 2, grain: 0 });
      const program = new Program("worker");
      const x = program.input("x", "f32", [10000]);
      let y = x;
      for (let i = 0; i < 20; i++) y = scale(y, 2);
      program.output(y, "out");
      const executable = device.compile(program);
      executable.buffer("x").view().fill(3);
      for (let i = 0; i < 100; i++) {
        executable.run();
        await executable.runAsync();
      }
      parentPort.postMessage(executable.buffer("out").view()[9999]);
    })();`;
  const answers = await Promise.all(
    [1, 2, 3].map(
      () =>
        new Promise((resolve, reject) => {
          const worker = new Worker(source, { eval: true });
          worker.on("message", resolve);
          worker.on("error", reject);
          worker.on("exit", (code) => code !== 0 && reject(new Error(`a worker ended with ${code}`)));
        }),
    ),
  );
  assert.deepEqual(answers, [3 * 2 ** 20, 3 * 2 ** 20, 3 * 2 ** 20]);
});
