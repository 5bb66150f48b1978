// node-llama-cpp as one of the engines that the inference suite measures: its prebuilt binary, on the processor.
import { getLlama, type LlamaContext, LlamaLogLevel, type LlamaModel, type Token } from "node-llama-cpp";
import { type Load, peakBytes, promptOf, serve } from "./protocol.ts";

let model: LlamaModel;
let loaded: Load;
let context: LlamaContext | undefined;
let contextThreads = 0;

/** A context computes with the threads it was made for. */
async function contextFor(threads: number): Promise<LlamaContext> {
  if (context && contextThreads === threads) return context;
  await context?.dispose();
  context = await model.createContext({
    contextSize: loaded.context,
    batchSize: 512,
    sequences: loaded.streams,
    threads: { ideal: threads, min: threads },
  });
  contextThreads = threads;
  return context;
}

serve(
  async (options) => {
    const llama = await getLlama({
      gpu: false,
      build: "never",
      skipDownload: true,
      maxThreads: 2,
      logLevel: LlamaLogLevel.error,
    });
    const bareBytes = peakBytes();
    loaded = options;
    const begin = performance.now();
    model = await llama.loadModel({ modelPath: options.file, gpuLayers: 0 });
    return { loadMs: performance.now() - begin, bareBytes };
  },
  async (options) => {
    const running = await contextFor(options.threads);
    const sequences = Array.from({ length: options.streams }, () => running.getSequence());
    for (const sequence of sequences) await sequence.clearHistory();
    const vocab = model.fileInfo.metadata.tokenizer.ggml.tokens.length;
    const begin = performance.now();
    let first = 0;
    await Promise.all(
      sequences.map(async (sequence, stream) => {
        let count = 0;
        const prompt = promptOf(options, stream, vocab) as Token[];
        for await (const _ of sequence.evaluate(prompt, { temperature: 0, yieldEogToken: true })) {
          if (count++ === 0) first = Math.max(first, performance.now());
          if (count === options.generate) break;
        }
        if (count !== options.generate) throw new Error(`${count} tokens instead of ${options.generate}`);
      }),
    );
    const end = performance.now();
    for (const sequence of sequences) sequence.dispose();
    return { prefillMs: first - begin, decodeMs: end - first, peakBytes: peakBytes() };
  },
);
