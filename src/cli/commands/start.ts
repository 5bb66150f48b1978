// `weir start` (npm start): the tutor that ships with Weir, API and page, for one person on this machine.
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { parseConfig } from "../../server/config.ts";
import { loadEngine } from "../../server/load.ts";
import { runServer } from "../../server/run.ts";
import { type Command, UsageError } from "../command.ts";
import { portOf } from "../model-options.ts";

export default {
  summary: "serve the tutor that ships with Weir, with its chat page / 启动自带的数学助教与网页",
  usage: `Usage: weir start [--port N] [--data DIR] [--quiet]

Loads models/tutor under the name 'tutor' and serves API and page on 127.0.0.1, without keys.
加载 models/tutor（名称 tutor），在 127.0.0.1 提供 API 与网页，无需密钥。

  --port N     default 8080 端口
  --data DIR   default $WEIR_HOME or ~/.weir 数据目录
  --quiet      no log lines 不输出日志`,
  async run(args) {
    const { values } = parseArgs({
      args,
      options: {
        port: { type: "string", default: "8080" },
        data: { type: "string" },
        quiet: { type: "boolean", default: false },
      },
    });
    const path = fileURLToPath(new URL("../../../models/tutor", import.meta.url));
    if (!existsSync(path))
      throw new UsageError(`the tutor is not at ${path}; 'weir serve PATH' serves another model 缺少自带模型`);
    const config = parseConfig({
      port: portOf(values.port),
      dataDir: values.data,
      // The tutor is small: 200 streams at once fit into 63 MB of cache, so nobody waits for a place.
      models: { tutor: { path, preload: true, engine: { maxSequences: 256, cacheTokens: 32_768 } } },
      log: { level: values.quiet ? "silent" : "info" },
    });
    await runServer({ config, loadEngine, tutor: "tutor" });
    return 0;
  },
} satisfies Command;
