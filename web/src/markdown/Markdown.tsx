// Finished Markdown as a component.
import { memo, useLayoutEffect, useRef, useState } from "react";
import { useWords } from "../words/index.ts";
import { showMarkdown } from "./stream.ts";

/** Longer texts are shown as they are until asked otherwise. */
const longest = 300_000;

export const Markdown = memo(function Markdown({ text }: { text: string }) {
  const element = useRef<HTMLDivElement>(null);
  const words = useWords();
  const [forced, setForced] = useState(false);
  const plain = text.length > longest && !forced;
  useLayoutEffect(() => {
    if (element.current && !plain) return showMarkdown(element.current, text);
    return undefined;
  }, [text, plain]);
  if (!plain) return <div className="markdown" ref={element} />;
  return (
    <div className="markdown">
      <p className="notice">
        {words.longMessage}{" "}
        <button type="button" className="link" onClick={() => setForced(true)}>
          {words.renderAnyway}
        </button>
      </p>
      <pre className="plain">{text}</pre>
    </div>
  );
});
