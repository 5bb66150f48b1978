// A worked solution with the verifier's marks: each step right, wrong (with the reason), or not checked.
import type { TutorMarks } from "../../../src/server/app/protocol.ts";
import { Check, Cross } from "../parts/icons.tsx";
import { useWords } from "../words/index.ts";

/** `own`: the reader's own working, which may be half done: a right result is praised, a missing one not given away. */
export function Steps({ marks, own = false }: { marks: TutorMarks; own?: boolean }) {
  const words = useWords();
  const wrong = marks.steps.filter((step) => step.right === false).length;
  const checked = marks.steps.some((step) => step.right !== undefined);
  const verdict = !checked ? words.nothingChecked : wrong === 0 ? words.allRight : words.someWrong(wrong);
  const answer =
    marks.correct === undefined || (own && !marks.correct) ? "" : marks.correct ? words.answerRight : words.answerWrong;
  const expected =
    !own && marks.correct === false && marks.expected !== undefined ? words.expected(marks.expected) : "";
  return (
    <div className="steps">
      <ol>
        {marks.steps.map((step, index) => {
          const kind = step.right === undefined ? "unchecked" : step.right ? "right" : "wrong";
          const label = step.right === undefined ? words.stepUnchecked : step.right ? words.stepRight : words.stepWrong;
          return (
            // biome-ignore lint/suspicious/noArrayIndexKey: steps are known by their place
            <li key={index} className={`step ${kind}`}>
              <span className="step-mark" role="img" aria-label={label} title={label}>
                {step.right === undefined ? "·" : step.right ? <Check /> : <Cross />}
              </span>
              <span className="step-text">
                {step.text}
                {step.explanation && <span className="step-why">{step.explanation}</span>}
              </span>
            </li>
          );
        })}
      </ol>
      <p
        className={`verdict ${wrong > 0 || (!own && marks.correct === false) ? "wrong" : checked ? "right" : ""}`}
        role="status"
      >
        {[verdict, answer, expected].filter(Boolean).join(" ")}
      </p>
    </div>
  );
}
