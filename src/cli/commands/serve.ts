// `weir serve`: the API and the chat page over any models.
import { basename } from "node:path";
import { parseArgs } from "node:util";
import { parseConfig, readConfig } from "../../server/config.ts";
import { loadEngine } from "../../server/load.ts";
import { runServer } from "../../server/run.ts";
import { type Command, UsageError } from "../command.ts";
import { openOptions, portOf } from "../model-options.ts";

export default {
  summary: "serve models under OpenAI's, DeepSeek's and Anthropic's API, with a chat page / 启动 API 与网页",
  usage: `Usage: weir serve [MODEL …] [--config weir.yaml] [options]

MODEL is a Hugging Face directory or a GGUF file; its name is the folder's or file's, or NAME=PATH gives one.
MODEL 为模型目录或 GGUF 文件；可用 NAME=PATH 指定名称。

  --config FILE     models, aliases, upstreams, prices, limits (docs/api.md has an example) 配置文件
  --host ADDRESS    default 127.0.0.1; other machines need --require-keys 监听地址
  --port N          default 8080
  --require-keys    every request needs a key of 'weir keys', every person an account 必须使用密钥与账户
  --weights TYPE    hold float weights as f32, q8_0 or q4_0 权重存储类型
  --context N       most tokens per conversation 上下文长度
  --tutor NAME      the page marks this model's steps right or wrong and has exercises (for a model trained by the
                    r1 recipe) 为该模型开启逐步批改与练习
  --data DIR        default $WEIR_HOME or ~/.weir 数据目录
  --quiet           no log lines 不输出日志`,
  async run(args) {
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: {
        config: { type: "string" },
        host: { type: "string" },
        port: { type: "string" },
        "require-keys": { type: "boolean", default: false },
        weights: { type: "string" },
        context: { type: "string" },
        tutor: { type: "string" },
        data: { type: "string" },
        quiet: { type: "boolean", default: false },
      },
    });
    const base: Record<string, unknown> = values.config === undefined ? {} : { ...readConfig(values.config) };
    const engine = openOptions({ weights: values.weights, context: values.context });
    const models: Record<string, unknown> = { ...((base.models as object | undefined) ?? {}) };
    for (const given of positionals) {
      const at = given.indexOf("=");
      const path = given.slice(at + 1);
      const name = at > 0 ? given.slice(0, at) : basename(path).replace(/\.gguf$/, "");
      models[name] = { path, preload: true, engine };
    }
    if (Object.keys(models).length === 0)
      throw new UsageError("name a model (weir serve PATH) or give a --config with models");
    if (values.tutor !== undefined && !Object.hasOwn(models, values.tutor))
      throw new UsageError(`--tutor ${values.tutor}: the models here are ${Object.keys(models).join(", ")}`);
    const config = parseConfig(
      {
        ...base,
        models,
        ...(values.host !== undefined && { host: values.host }),
        ...(values.port !== undefined && { port: portOf(values.port) }),
        ...(values.data !== undefined && { dataDir: values.data }),
        ...(values["require-keys"] && { keys: { required: true } }),
        ...(values.quiet && { log: { level: "silent" } }),
      },
      values.config ?? "the arguments",
    );
    await runServer({ config, loadEngine, tutor: values.tutor });
    return 0;
  },
} satisfies Command;
