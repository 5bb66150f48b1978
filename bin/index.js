// What `import … from "weir"` gives: the names of src/index.ts, which Node reads only after strip-types.js.
import "./strip-types.js";

export const {
  checkSteps,
  converse,
  EngineError,
  openCheckpoint,
  openDevice,
  openModel,
  prepareJob,
  Program,
  readReply,
  readSettings,
  requestFor,
  SettingsError,
  Trainer,
  understand,
  verify,
  WorkerEngine,
} = await import("../src/index.ts");
