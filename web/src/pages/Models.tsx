// The models of the server: state, size and memory, loading and unloading, a speed test.
import { useEffect, useState } from "react";
import type { AppModel } from "../../../src/server/app/protocol.ts";
import { ErrorNote, useAction } from "../parts/ui.tsx";
import { call } from "../state/api.ts";
import { refreshModels, useModels } from "../state/library.ts";
import { useSession } from "../state/session.ts";
import { useWords } from "../words/index.ts";
import { Page } from "./Page.tsx";

const bytes = (count: number): string =>
  count >= 1e9 ? `${(count / 1e9).toFixed(1)} GB` : `${(count / 1e6).toFixed(count < 1e7 ? 1 : 0)} MB`;
const short = (count: number): string =>
  count >= 1e9
    ? `${(count / 1e9).toFixed(1)} B`
    : count >= 1e6
      ? `${(count / 1e6).toFixed(1)} M`
      : `${Math.round(count / 1e3)} k`;

interface Speed {
  promptTokens: number;
  cachedTokens: number;
  completionTokens: number;
  prefillMs: number;
  decodeMs: number;
  firstTokenMs: number | null;
}

const rate = (tokens: number, ms: number): string => (ms > 0 ? ((tokens / ms) * 1000).toFixed(0) : "–");

export default function Models({ onMenu }: { onMenu(): void }) {
  const words = useWords();
  const { models } = useModels();
  const action = useAction();
  // biome-ignore lint/correctness/useExhaustiveDependencies: once per visit
  useEffect(() => {
    action.run(refreshModels);
  }, []);
  return (
    <Page title={words.models} onMenu={onMenu}>
      <ErrorNote code={action.error} />
      {models.length === 0 && <p className="quiet">{words.noModels}</p>}
      <div className="cards">
        {models.map((model) => (
          <Model key={model.name} model={model} />
        ))}
      </div>
    </Page>
  );
}

function Model({ model }: { model: AppModel }) {
  const words = useWords();
  const { account } = useSession();
  const action = useAction();
  const [speed, setSpeed] = useState<Speed>();
  const [measuring, setMeasuring] = useState(false);
  const { info } = model;
  const facts: [string, string][] = [];
  if (info) {
    facts.push([
      words.parametersCount,
      `${short(info.parameters)} (${short(info.activeParameters)} ${words.activeCount})`,
    ]);
    if (info.experts > 0)
      facts.push([words.insideExperts, words.expertsOf(info.expertsPerToken, info.experts, info.layers)]);
  }
  if (model.contextLength) facts.push([words.context, words.tokens(model.contextLength)]);
  if (model.memoryBytes !== undefined) facts.push([words.memory, bytes(model.memoryBytes)]);
  if (speed) {
    facts.push([
      words.prefillSpeed,
      words.tokensPerSecond(rate(speed.promptTokens - speed.cachedTokens, speed.prefillMs)),
    ]);
    facts.push([words.decodeSpeed, words.tokensPerSecond(rate(speed.completionTokens, speed.decodeMs))]);
    if (speed.firstTokenMs !== null) facts.push([words.insideFirst, `${Math.round(speed.firstTokenMs)} ms`]);
  }
  const change = (what: "load" | "unload") =>
    action.run(() => call("POST", `/models/${what}`, { name: model.name }).finally(refreshModels));
  const measure = async (): Promise<void> => {
    setMeasuring(true);
    await action.run(async () => setSpeed(await call<Speed>("POST", "/models/speed", { name: model.name })));
    setMeasuring(false);
    refreshModels().catch(() => {});
  };
  return (
    <article className="card model" aria-label={model.name}>
      <header>
        <h2>{model.name}</h2>
        <span className={`badge ${model.state}`}>{model.local ? words.modelState[model.state] : words.upstream}</span>
      </header>
      <dl className="facts-grid">
        {facts.map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
      <ErrorNote code={action.error} />
      <div className="button-row">
        {model.local && account?.role === "admin" && (
          <button
            type="button"
            className="button"
            disabled={action.busy || model.state === "loading"}
            onClick={() => change(model.state === "loaded" ? "unload" : "load")}
          >
            {model.state === "loaded" ? words.unload : words.load}
          </button>
        )}
        <button type="button" className="button" disabled={action.busy} onClick={measure}>
          {measuring ? words.measuring : words.speedTest}
        </button>
      </div>
    </article>
  );
}
