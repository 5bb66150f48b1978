// The thinking of an answer: folded to one line (live while it runs), opening to the full text or, for the tutor, to marked
// steps.
import { type ReactNode, useEffect, useId, useRef, useState } from "react";
import { Right, Think } from "../parts/icons.tsx";
import type { LiveAnswer } from "../state/live.ts";
import { useWords } from "../words/index.ts";

const lastLine = (text: string): string => text.slice(-600).trimEnd().split("\n").at(-1)?.slice(-160) ?? "";

export function Thinking({ text, ms, steps }: { text: string; ms: number | undefined; steps?: ReactNode }) {
  const words = useWords();
  const [opened, setOpened] = useState(steps !== undefined);
  const id = useId();
  return (
    <section className="thinking">
      <button
        type="button"
        className="thinking-head"
        aria-expanded={opened}
        aria-controls={id}
        onClick={() => setOpened(!opened)}
      >
        <Think />
        <span className="thinking-label">
          {ms === undefined ? words.thinking : words.thoughtFor(Math.max(1, Math.round(ms / 1000)))}
        </span>
        <span className="chevron">
          <Right />
        </span>
      </button>
      <div id={id} className="thinking-body" hidden={!opened}>
        {opened && (steps ?? <div className="thinking-text">{text.trim()}</div>)}
      </div>
    </section>
  );
}

/** While it runs: seconds, last line and text are written past React. */
export function LiveThinking({ live }: { live: LiveAnswer }) {
  const words = useWords();
  const [opened, setOpened] = useState(false);
  const id = useId();
  const label = useRef<HTMLSpanElement>(null);
  const line = useRef<HTMLSpanElement>(null);
  const body = useRef<HTMLDivElement>(null);
  useEffect(() => {
    let shown = 0;
    const node = document.createTextNode("");
    body.current?.replaceChildren(node);
    const show = (): void => {
      const { reasoning, thoughtMs } = live;
      const seconds = Math.round((thoughtMs ?? performance.now() - live.startedAt) / 1000);
      const text = thoughtMs === undefined ? words.thinkingFor(seconds) : words.thoughtFor(Math.max(1, seconds));
      if (label.current && label.current.textContent !== text) label.current.textContent = text;
      if (line.current && !opened) line.current.textContent = thoughtMs === undefined ? lastLine(reasoning) : "";
      if (opened && reasoning.length > shown) {
        node.appendData(reasoning.slice(shown));
        shown = reasoning.length;
      }
    };
    show();
    const unsubscribe = live.subscribe(show);
    const timer = setInterval(show, 1000);
    return () => {
      unsubscribe();
      clearInterval(timer);
    };
  }, [live, opened, words]);
  return (
    <section className="thinking live">
      <button
        type="button"
        className="thinking-head"
        aria-expanded={opened}
        aria-controls={id}
        onClick={() => setOpened(!opened)}
      >
        <Think />
        <span className="thinking-label" ref={label} />
        <span className="thinking-line" ref={line} aria-hidden="true" />
        <span className="chevron">
          <Right />
        </span>
      </button>
      <div id={id} className="thinking-body" hidden={!opened}>
        <div className="thinking-text" ref={body} />
      </div>
    </section>
  );
}
