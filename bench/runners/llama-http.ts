// node-llama-cpp as a server, as small as it can be: one route that streams completions with the frames OpenAI's have, continuous
// batching over as many sequences as told, the rest waits. The serve suite measures it beside Weir's server on the same file.
//
//   node bench/runners/llama-http.ts MODEL.gguf SEQUENCES THREADS     prints its address when it is ready
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { getLlama, type LlamaContextSequence, LlamaLogLevel } from "node-llama-cpp";

const [file, sequencesText, threadsText] = process.argv.slice(2);
const sequences = Number(sequencesText);
const threads = Number(threadsText);
const llama = await getLlama({
  gpu: false,
  build: "never",
  skipDownload: true,
  maxThreads: threads,
  logLevel: LlamaLogLevel.error,
});
const model = await llama.loadModel({ modelPath: file, gpuLayers: 0 });
const context = await model.createContext({
  contextSize: 512,
  batchSize: 512,
  sequences,
  threads: { ideal: threads, min: threads },
});
const free: LlamaContextSequence[] = Array.from({ length: sequences }, () => context.getSequence());
const waiting: ((sequence: LlamaContextSequence) => void)[] = [];

const take = (): Promise<LlamaContextSequence> => {
  const sequence = free.pop();
  return sequence ? Promise.resolve(sequence) : new Promise((resolve) => waiting.push(resolve));
};
const giveBack = (sequence: LlamaContextSequence): void => {
  const next = waiting.shift();
  if (next) next(sequence);
  else free.push(sequence);
};

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  let body = "";
  for await (const chunk of request) body += chunk;
  const { prompt, max_tokens } = JSON.parse(body) as { prompt: string; max_tokens: number };
  const tokens = model.tokenize(prompt, false);
  response.writeHead(200, { "content-type": "text/event-stream" });
  const frame = (value: unknown) => response.write(`data: ${JSON.stringify(value)}\n\n`);
  const sequence = await take();
  try {
    await sequence.clearHistory();
    let count = 0;
    for await (const token of sequence.evaluate(tokens, { temperature: 1, yieldEogToken: true })) {
      // Some random tokens have no text; a stream still has one frame for each.
      frame({ choices: [{ index: 0, text: model.detokenize([token]) || " ", finish_reason: null }] });
      if (++count === max_tokens) break;
    }
    frame({ choices: [], usage: { prompt_tokens: tokens.length, completion_tokens: count } });
  } finally {
    giveBack(sequence);
  }
  response.end("data: [DONE]\n\n");
}

const server = createServer((request, response) => {
  answer(request, response).catch((error: Error) => response.destroy(error));
});
server.listen({ port: 0, host: "127.0.0.1", backlog: 1024 }, () => {
  console.log(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
});
