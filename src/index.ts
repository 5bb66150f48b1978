// The package's public face for programs that embed a model: open one, talk to it, embed texts, train one, judge a tutor's answer.
// `examples/` has a short program for each. Everything else is importable by path (`weir/tensor/program.ts`), without promises about
// its shape.
//
//   import { openModel, converse } from "weir";
//   const model = await openModel("models/tutor");
//   const { content } = await converse(model, { messages: [{ role: "user", content: "12*34" }] });
export type { Checkpoint } from "./checkpoint/checkpoint.ts";
export { openCheckpoint } from "./checkpoint/model-directory.ts";
export { converse, type Model, type Reply, readReply, requestFor } from "./engine/converse.ts";
export { type OpenOptions, openModel } from "./engine/open.ts";
export type {
  Engine,
  EngineEvent,
  GenerateRequest,
  Grammar,
  Receipt,
  SamplingParameters,
  Usage,
} from "./engine/types.ts";
export { EngineError } from "./engine/types.ts";
export { WorkerEngine } from "./engine/worker-engine.ts";
export { checkSteps, type MarkedStep } from "./recipes/tutor/steps.ts";
export { type Understood, understand } from "./recipes/tutor/understand.ts";
export { type Verdict, verify } from "./recipes/tutor/verify.ts";
export { openDevice } from "./tensor/devices.ts";
export { Program } from "./tensor/program.ts";
export type { Conversation, Delta, Message, Tool } from "./text/conversation.ts";
export { readSettings, type Settings, SettingsError } from "./train/config.ts";
export { type Job, prepareJob } from "./train/job.ts";
export { Trainer } from "./train/trainer.ts";
