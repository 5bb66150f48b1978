// `weir keys`: creates, lists and revokes the API keys of this machine's server.
import { join } from "node:path";
import { parseArgs } from "node:util";
import { createKey } from "../../server/caller.ts";
import { dataDirectory } from "../../server/config.ts";
import { openDatabase, SqliteStorage } from "../../server/store/sqlite.ts";
import type { KeyRecord, Limits } from "../../server/store/storage.ts";
import { type Command, UsageError } from "../command.ts";

const counts = {
  "requests-per-minute": "requestsPerMinute",
  "requests-per-day": "requestsPerDay",
  "tokens-per-minute": "tokensPerMinute",
  "tokens-per-day": "tokensPerDay",
  concurrency: "concurrency",
} as const;

function positive(value: string, option: string): number {
  const number = Number(value);
  if (!Number.isInteger(number) || number <= 0)
    throw new UsageError(`--${option} ${value}: give a whole number above 0`);
  return number;
}

/** "10CNY/month" or "5USD". */
function parseBudget(text: string): Limits["budget"] {
  const match = /^(\d+(?:\.\d+)?)([A-Z]{3})(\/month)?$/.exec(text);
  if (!match) throw new UsageError(`--budget ${text}: write an amount and a currency, such as 10CNY/month or 5USD`);
  return { amount: Number(match[1]), currency: match[2], period: match[3] ? "month" : "total" };
}

function expiry(days: string | undefined): number | undefined {
  return days === undefined ? undefined : Date.now() + positive(days, "days") * 24 * 60 * 60 * 1000;
}

function state(key: KeyRecord): string {
  if (key.revokedAt !== undefined) return "revoked";
  if (key.expiresAt !== undefined && key.expiresAt <= Date.now()) return "expired";
  return key.expiresAt === undefined ? "valid" : `until ${new Date(key.expiresAt).toISOString().slice(0, 10)}`;
}

async function list(storage: SqliteStorage): Promise<void> {
  const keys = await storage.listKeys();
  if (keys.length === 0) console.log("No keys yet. 还没有密钥。\n  weir keys create NAME");
  for (const key of keys) {
    const used = await storage.usage(key.id, 0);
    const cost = Object.entries(used.cost)
      .filter(([currency]) => currency !== "")
      .map(([currency, amount]) => `${amount.toFixed(4)} ${currency}`);
    const figures = [`${used.requests} requests`, `${used.promptTokens + used.completionTokens} tokens`, ...cost].join(
      ", ",
    );
    const limits = Object.keys(key.limits).length > 0 ? ` limits ${JSON.stringify(key.limits)}` : "";
    console.log(`${key.id}  ${key.hint}  ${state(key).padEnd(16)}  ${key.name}  (${figures})${limits}`);
  }
}

export default {
  summary: "create, list and revoke API keys of the server / 管理服务器的 API 密钥",
  usage: `Usage: weir keys create NAME [limits] | weir keys list | weir keys revoke ID   [--data DIR]

The secret is printed once and stored only as a hash. A running server notices new and revoked keys at once.
密钥只显示一次，只以散列形式保存；运行中的服务器立即知道新建与吊销的密钥。

Limits 限额:
  --requests-per-minute N  --requests-per-day N
  --tokens-per-minute N    --tokens-per-day N
  --concurrency N          requests at once 同时请求数
  --budget 10CNY/month     money by the price table, per month or (5USD) in all 按价目表计费的预算
  --models a,b             only these models 仅限这些模型
  --days N                 valid for N days 有效天数
  --data DIR               where the server keeps its data (default: $WEIR_HOME or ~/.weir) 数据目录`,
  async run(args) {
    const text = { type: "string" } as const;
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: {
        data: text,
        budget: text,
        models: text,
        days: text,
        "requests-per-minute": text,
        "requests-per-day": text,
        "tokens-per-minute": text,
        "tokens-per-day": text,
        concurrency: text,
      },
    });
    const [action, name, ...rest] = positionals;
    if (rest.length > 0) throw new UsageError(`'${rest[0]}' is one argument too many`);
    const limits: Limits = {};
    for (const [option, field] of Object.entries(counts)) {
      const value = values[option as keyof typeof counts];
      if (value !== undefined) limits[field] = positive(value, option);
    }
    if (values.budget !== undefined) limits.budget = parseBudget(values.budget);
    if (values.models !== undefined) limits.models = values.models.split(",").map((each) => each.trim());
    const expiresAt = expiry(values.days);
    if (!["create", "list", "revoke"].includes(action ?? ""))
      throw new UsageError("say create NAME, list, or revoke ID");
    if (action !== "list" && name === undefined)
      throw new UsageError(`'weir keys ${action}' needs a ${action === "create" ? "name" : "key's id"}`);
    const storage = new SqliteStorage(openDatabase(join(dataDirectory({ dataDir: values.data }), "weir.db")));
    try {
      if (action === "create") {
        const { secret, key } = await createKey(storage, { name, limits, expiresAt });
        console.log(
          `${secret}\n\n${key.id} (${name}). Keep the secret now; it cannot be shown again. 请立即保存，之后无法再次显示。`,
        );
      } else if (action === "list") await list(storage);
      else {
        if (!(await storage.revokeKey(name, Date.now())))
          throw new UsageError(`there is no key '${name}'; 'weir keys list' shows the ids`);
        console.log(`${name} is revoked. 已吊销。`);
      }
    } finally {
      await storage.close();
    }
    return 0;
  },
} satisfies Command;
