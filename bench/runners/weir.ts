// Weir as one of the engines that the inference suite measures.
import type { LocalEngine } from "../../src/engine/local-engine.ts";
import { openModel } from "../../src/engine/open.ts";
import { peakBytes, promptOf, serve } from "./protocol.ts";

let engine: LocalEngine;

serve(
  async ({ file, context, streams, device, threads, cacheDtype }) => {
    const bareBytes = peakBytes();
    const begin = performance.now();
    ({ engine } = await openModel(file, {
      context,
      cacheTokens: (context + 32) * streams,
      maxSequences: streams,
      device,
      threads,
      cacheDtype,
    }));
    const { served } = engine;
    return {
      loadMs: performance.now() - begin,
      weightBytes: served.weightBytes,
      cacheBytes: served.cacheBytesPerToken * served.options.pages * served.options.pageSize,
      cacheBytesPerToken: served.cacheBytesPerToken,
      bareBytes,
    };
  },
  async (options) => {
    engine.served.device.threads = options.threads;
    const vocab = engine.served.config.vocabSize;
    const begin = performance.now();
    let first = 0;
    await Promise.all(
      Array.from({ length: options.streams }, async (_, stream) => {
        let count = 0;
        const prompt = promptOf(options, stream, vocab);
        const request = { prompt, maxTokens: options.generate, ignoreEos: true, sampling: { temperature: 0 } };
        for await (const event of engine.submit(request))
          if (event.type === "token" && count++ === 0) first = Math.max(first, performance.now());
        if (count !== options.generate) throw new Error(`${count} tokens instead of ${options.generate}`);
      }),
    );
    return { prefillMs: first - begin, decodeMs: performance.now() - first, peakBytes: peakBytes() };
  },
);
