// See inside: what the engine knows about an answer. Every token with its probability, the alternatives it beat, the experts
// each layer sent it to, and what the whole answer took.
import { useEffect, useMemo, useState } from "react";
import type { ChatMessage, TokenRecord } from "../../../src/server/app/protocol.ts";
import { pathTo } from "../../../src/server/app/tree.ts";
import { Close } from "../parts/icons.tsx";
import { IconButton } from "../parts/ui.tsx";
import { call } from "../state/api.ts";
import { open } from "../state/conversation.ts";
import { useModels } from "../state/library.ts";
import type { LiveAnswer } from "../state/live.ts";
import { prefer } from "../state/preferences.ts";
import { useStore } from "../state/store.ts";
import { useWords } from "../words/index.ts";
import { HeatMap } from "./HeatMap.tsx";
import { inspected } from "./inspect.ts";
import { cost } from "./Message.tsx";

/** Tokens drawn at once; the strip of a long answer shows its end. */
const mostShown = 1500;

export default function Inside() {
  const words = useWords();
  const { state, live, id: conversation } = useStore(open);
  const chosen = useStore(inspected);
  const { models } = useModels();
  const last = useMemo(
    () => pathTo(state.messages, state.head).findLast((message) => message.role === "assistant"),
    [state.messages, state.head],
  );
  const message = state.messages.get(live?.id ?? chosen ?? "") ?? last;
  const running = live && message?.id === live.id ? live : undefined;
  const tokens = useTokens(conversation, message, running);
  const [selected, setSelected] = useState<number>();
  // biome-ignore lint/correctness/useExhaustiveDependencies: another answer, another selection
  useEffect(() => setSelected(undefined), [message?.id]);
  return (
    <aside className="inside" aria-label={words.inside}>
      <header>
        <h2>{words.inside}</h2>
        <IconButton label={words.close} onClick={() => prefer({ inside: false })}>
          <Close />
        </IconButton>
      </header>
      <div className="inside-body">
        {!message ? (
          <p className="quiet">{words.insideEmpty}</p>
        ) : (
          <>
            <Facts message={message} tokens={tokens} />
            {tokens.length > 0 ? (
              <>
                <TokenStrip tokens={tokens} selected={selected} onSelect={setSelected} />
                <Alternatives token={selected === undefined ? undefined : tokens[selected]} />
                <h3>{words.insideExperts}</h3>
                {tokens.some((token) => token.routes) ? (
                  <HeatMap
                    tokens={tokens}
                    selected={selected === undefined ? undefined : tokens[selected]}
                    known={models.find((model) => model.name === message.model)?.info?.experts}
                  />
                ) : (
                  <p className="quiet">{words.insideNoExperts}</p>
                )}
              </>
            ) : (
              !running && <p className="quiet">{words.insideOff}</p>
            )}
          </>
        )}
      </div>
    </aside>
  );
}

/** Recorded tokens of a finished answer, or those of the running one, four times a second. */
function useTokens(
  conversation: string | undefined,
  message: ChatMessage | undefined,
  live: LiveAnswer | undefined,
): TokenRecord[] {
  const [tokens, setTokens] = useState<TokenRecord[]>([]);
  const id = message?.id;
  const recorded = message?.inside ?? false;
  useEffect(() => {
    if (live) {
      const show = (): void => setTokens(live.tokens.slice());
      show();
      const timer = setInterval(show, 250);
      return () => clearInterval(timer);
    }
    setTokens([]);
    if (!recorded || id === undefined || conversation === undefined) return undefined;
    let current = true;
    call<{ tokens: TokenRecord[] }>("GET", `/conversations/${conversation}/inside/${id}`)
      .then((read) => current && setTokens(read.tokens))
      .catch(() => {});
    return () => {
      current = false;
    };
  }, [conversation, id, recorded, live]);
  return tokens;
}

function Facts({ message, tokens }: { message: ChatMessage; tokens: TokenRecord[] }) {
  const words = useWords();
  const { models } = useModels();
  const { usage, timing } = message;
  const length = models.find((model) => model.name === message.model)?.contextLength;
  const facts: [string, string][] = [];
  if (usage) {
    if (usage.decodeMs > 0)
      facts.push([
        words.insideSpeed,
        words.tokensPerSecond(((usage.completionTokens / usage.decodeMs) * 1000).toFixed(1)),
      ]);
    if (timing?.firstTokenMs !== undefined) facts.push([words.insideFirst, `${Math.round(timing.firstTokenMs)} ms`]);
    if (usage.promptTokens > 0)
      facts.push([
        words.insideCached,
        `${Math.round((usage.cachedTokens / usage.promptTokens) * 100)} % · ${usage.cachedTokens}/${usage.promptTokens}`,
      ]);
    if (usage.reasoningTokens > 0) facts.push([words.insideThinkingTokens, words.tokens(usage.reasoningTokens)]);
    if (usage.energyJoules !== undefined) facts.push([words.insideEnergy, `${usage.energyJoules.toPrecision(3)} J`]);
    if (usage.cost) facts.push([words.insideCost, cost(usage.cost)]);
  }
  if (tokens.length > 0) {
    const mean = tokens.reduce((sum, token) => sum + Math.exp(token.logprob), 0) / tokens.length;
    facts.push([words.insideSure, `${(mean * 100).toFixed(1)} %`]);
  }
  const used = usage ? usage.promptTokens + usage.completionTokens : undefined;
  return (
    <>
      <dl className="facts-grid">
        {facts.map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
      {used !== undefined && length !== undefined && (
        <div className="meter-row">
          <span>{words.insideContext}</span>
          <meter min={0} max={length} value={used} aria-label={words.insideContext} />
          <span>
            {used.toLocaleString()} / {length.toLocaleString()}
          </span>
        </div>
      )}
    </>
  );
}

/** Five grades from certain to guessed. */
const grade = (logprob: number): number => {
  const p = Math.exp(logprob);
  return p > 0.95 ? 0 : p > 0.8 ? 1 : p > 0.5 ? 2 : p > 0.2 ? 3 : 4;
};

function TokenStrip({
  tokens,
  selected,
  onSelect,
}: {
  tokens: TokenRecord[];
  selected: number | undefined;
  onSelect(index: number): void;
}) {
  const words = useWords();
  const from = Math.max(0, tokens.length - mostShown);
  return (
    <div
      className="tokens"
      role="listbox"
      aria-label={words.insideToken}
      tabIndex={0}
      onKeyDown={(event) => {
        const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
        if (step === undefined) return;
        event.preventDefault();
        onSelect(Math.min(tokens.length - 1, Math.max(from, (selected ?? from - step) + step)));
      }}
      onClick={(event) => {
        const index = (event.target as HTMLElement).dataset.index;
        if (index !== undefined) onSelect(Number(index));
      }}
    >
      {tokens.slice(from).map((token, index) => (
        <span
          // biome-ignore lint/suspicious/noArrayIndexKey: tokens are known by their place
          key={index}
          role="option"
          tabIndex={-1}
          aria-selected={from + index === selected}
          aria-label={token.text.trim() === "" ? JSON.stringify(token.text) : undefined}
          data-index={from + index}
          className={`token grade-${grade(token.logprob)}${token.forced ? " forced" : ""}`}
        >
          {token.text.replaceAll("\n", "⏎\n")}
        </span>
      ))}
    </div>
  );
}

const percent = (logprob: number): string => `${(Math.exp(logprob) * 100).toFixed(logprob > -0.1 ? 1 : 2)} %`;

function Alternatives({ token }: { token: TokenRecord | undefined }) {
  const words = useWords();
  if (!token) return <p className="quiet">{words.insideSelect}</p>;
  const list: [string, number][] = token.top.length > 0 ? token.top : [[token.text, token.logprob]];
  return (
    <section aria-live="polite">
      <h3>{words.insideAlternatives}</h3>
      {token.forced && <p className="quiet">{words.insideForced}</p>}
      <ul className="alternatives">
        {list.map(([text, logprob]) => (
          <li key={text} className={text === token.text ? "taken" : ""}>
            <code>{JSON.stringify(text).slice(1, -1)}</code>
            <progress max={1} value={Math.exp(logprob)} aria-label={text} />
            <span>{percent(logprob)}</span>
          </li>
        ))}
      </ul>
    </section>
  );
}
