// The messages of the path shown, as a virtual list: only what is near the screen exists. It starts at the end and stays
// there while an answer grows, unless the reader has gone up.
import { useVirtualizer } from "@tanstack/react-virtual";
import { useEffect, useMemo, useRef, useState } from "react";
import { pathTo } from "../../../src/server/app/tree.ts";
import { ArrowDown } from "../parts/icons.tsx";
import { IconButton } from "../parts/ui.tsx";
import { open } from "../state/conversation.ts";
import { useModels } from "../state/library.ts";
import { useStore } from "../state/store.ts";
import { useWords } from "../words/index.ts";
import { Message } from "./Message.tsx";

/** A guess from the text's length, so that the scroll bar is nearly right before anything is measured. */
const guess = (characters: number): number => 90 + Math.ceil(characters / 60) * 26;

export function MessageList() {
  const words = useWords();
  const { state, live, id } = useStore(open);
  const { models } = useModels();
  const path = useMemo(() => pathTo(state.messages, state.head), [state.messages, state.head]);
  const scroller = useRef<HTMLElement>(null);
  const [away, setAway] = useState(false);
  const list = useVirtualizer({
    count: path.length,
    getScrollElement: () => scroller.current,
    estimateSize: (index) => guess(path[index].content.length),
    getItemKey: (index) => path[index].id,
    overscan: 4,
    anchorTo: "end",
    followOnAppend: true,
    scrollEndThreshold: 80,
    paddingStart: 24,
    paddingEnd: 24,
  });

  // A conversation opens at its end; heights are known only after the first measurements.
  useEffect(() => {
    if (id === undefined) return undefined;
    let frames = 0;
    let frame = requestAnimationFrame(function settle() {
      const element = scroller.current;
      if (element) element.scrollTop = element.scrollHeight;
      if (++frames < 6) frame = requestAnimationFrame(settle);
    });
    return () => cancelAnimationFrame(frame);
  }, [id]);

  // The reader's own question is always shown.
  const count = path.length;
  useEffect(() => {
    if (path[count - 1]?.status === "running") list.scrollToIndex(count - 1, { align: "end" });
  }, [count, path, list]);

  const tutors = new Set(models.filter((model) => model.tutor).map((model) => model.name));
  return (
    <div className="list-frame">
      <section
        className="list"
        ref={scroller}
        // biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling region must be reachable by keyboard
        tabIndex={0}
        aria-label={words.conversations}
        onScroll={({ currentTarget }) =>
          setAway(currentTarget.scrollHeight - currentTarget.scrollTop - currentTarget.clientHeight > 200)
        }
      >
        <div className="list-inner" style={{ height: list.getTotalSize() }}>
          {list.getVirtualItems().map((item) => {
            const message = path[item.index];
            return (
              <div
                key={item.key}
                className="row"
                data-index={item.index}
                ref={list.measureElement}
                style={{ transform: `translateY(${item.start}px)` }}
              >
                <Message
                  message={message}
                  live={live?.id === message.id ? live : undefined}
                  tutor={tutors.has(message.model ?? "")}
                />
              </div>
            );
          })}
        </div>
      </section>
      {away && (
        <IconButton
          className="to-end"
          label={words.scrollDown}
          onClick={() => list.scrollToIndex(count - 1, { align: "end", behavior: "auto" })}
        >
          <ArrowDown />
        </IconButton>
      )}
    </div>
  );
}
