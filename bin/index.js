// What `import … from "weir"` gives: the names of src/index.ts, which Node reads only after strip-types.js.
import "./strip-types.js";

export const {
  converse,
  EngineError,
  openCheckpoint,
  openDevice,
  openModel,
  Program,
  readReply,
  requestFor,
  Trainer,
  WorkerEngine,
} = await import("../src/index.ts");
