// The Step Tutor: exercises by skill and difficulty, the reader's own steps marked by exact arithmetic, hints and worked
// solutions from the model in a conversation.
import { type FormEvent, useEffect, useRef, useState } from "react";
import type { TutorExercise, TutorMarks, TutorSkill } from "../../../src/server/app/protocol.ts";
import { Steps } from "../chat/Steps.tsx";
import { ErrorNote, useAction } from "../parts/ui.tsx";
import { call } from "../state/api.ts";
import { ask, openConversation } from "../state/conversation.ts";
import { useModels } from "../state/library.ts";
import { go } from "../state/router.ts";
import { useLanguage, useWords } from "../words/index.ts";
import { Page } from "./Page.tsx";

/** What the page held when it was left: a hint opens a conversation, and who comes back goes on with the same exercise. */
interface Kept {
  skill?: string;
  difficulty: number;
  exercise?: TutorExercise;
  working: string;
  marks?: TutorMarks;
}
let kept: Kept = { difficulty: 2, working: "" };

export default function Tutor({ onMenu }: { onMenu(): void }) {
  const words = useWords();
  const language = useLanguage();
  const { models } = useModels();
  const [skills, setSkills] = useState<TutorSkill[]>([]);
  const [skill, setSkill] = useState(kept.skill);
  const [difficulty, setDifficulty] = useState(kept.difficulty);
  const [exercise, setExercise] = useState(kept.exercise);
  const [marks, setMarks] = useState(kept.marks);
  const [working, setWorking] = useState(kept.working);
  const marked = useRef<HTMLDivElement>(null);
  const action = useAction();
  const model = models.find((one) => one.tutor);

  useEffect(() => {
    call<{ skills: TutorSkill[] }>("GET", "/tutor/skills").then(
      ({ skills: read }) => {
        setSkills(read);
        setSkill((before) => before ?? read[0]?.id);
      },
      () => {},
    );
  }, []);

  useEffect(() => {
    kept = { skill, difficulty, exercise, working, marks };
  }, [skill, difficulty, exercise, working, marks]);

  // On a phone the marks lie below what can be seen.
  useEffect(() => {
    if (marks) marked.current?.scrollIntoView({ block: "nearest" });
  }, [marks]);

  const make = () =>
    action.run(async () => {
      const made = await call<{ exercise: TutorExercise }>("POST", "/tutor/exercise", { skill, difficulty, language });
      setExercise(made.exercise);
      setMarks(undefined);
      setWorking("");
    });
  const mark = (event: FormEvent): void => {
    event.preventDefault();
    if (!exercise || working.trim() === "") return;
    action.run(async () => {
      const read = await call<{ marks: TutorMarks }>("POST", "/tutor/mark", {
        question: exercise.question,
        working,
        language,
      });
      setMarks(read.marks);
    });
  };
  const put = (content: string) =>
    action.run(async () => {
      await openConversation(undefined);
      const id = await ask({ content, attachments: [], parent: null }, { model: model?.name, thinking: true });
      go(`c/${id}`);
    });

  const classes = [...new Set(skills.map((one) => one.class))];
  return (
    <Page title={words.tutor} intro={words.tutorIntro} onMenu={onMenu}>
      {skills.length === 0 ? (
        <p className="quiet">{words.noTutor}</p>
      ) : (
        <>
          <form
            className="exercise-form"
            onSubmit={(event) => {
              event.preventDefault();
              make();
            }}
          >
            <label>
              {words.skill}
              <select value={skill} onChange={(event) => setSkill(event.target.value)}>
                {classes.map((name) => (
                  <optgroup key={name} label={words.skillClasses[name] ?? name}>
                    {skills
                      .filter((one) => one.class === name)
                      .map((one) => (
                        <option key={one.id} value={one.id}>
                          {one.name[language]}
                        </option>
                      ))}
                  </optgroup>
                ))}
              </select>
            </label>
            <label>
              {words.difficulty}
              <span className="range">
                <input
                  type="range"
                  min={1}
                  max={5}
                  value={difficulty}
                  onChange={(event) => setDifficulty(Number(event.target.value))}
                />
                <output>{difficulty}</output>
              </span>
            </label>
            <button type="submit" className="button primary" disabled={action.busy}>
              {words.newExercise}
            </button>
          </form>
          <ErrorNote code={action.error} />
          {exercise && (
            <section className="card exercise" aria-label={words.newExercise}>
              <p className="exercise-question">{exercise.question}</p>
              <form onSubmit={mark}>
                <textarea
                  value={working}
                  onChange={(event) => setWorking(event.target.value)}
                  onKeyDown={(event) => {
                    if (event.key === "Enter" && (event.ctrlKey || event.metaKey))
                      event.currentTarget.form?.requestSubmit();
                  }}
                  rows={5}
                  aria-label={words.mySteps}
                  placeholder={words.mySteps}
                  maxLength={20_000}
                />
                <div className="button-row">
                  <button type="submit" className="button primary" disabled={action.busy}>
                    {words.checkMine}
                  </button>
                  <button
                    type="button"
                    className="button"
                    disabled={action.busy || !model}
                    onClick={() => put(words.hintMessage(exercise.question))}
                  >
                    {words.hint}
                  </button>
                  <button
                    type="button"
                    className="button"
                    disabled={action.busy || !model}
                    onClick={() => put(exercise.question)}
                  >
                    {words.solveIt}
                  </button>
                </div>
              </form>
              <div ref={marked}>{marks && <Steps marks={marks} own />}</div>
            </section>
          )}
        </>
      )}
    </Page>
  );
}
