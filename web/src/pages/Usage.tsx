// What was used, per day and model; for administrators also everyone's.
import { useEffect, useState } from "react";
import type { Account, UsageDay } from "../../../src/server/app/protocol.ts";
import { Choice, ErrorNote, useAction } from "../parts/ui.tsx";
import { call } from "../state/api.ts";
import { useSession } from "../state/session.ts";
import { useWords } from "../words/index.ts";
import { Page } from "./Page.tsx";

interface Read {
  days: UsageDay[];
  today: number;
  quota: number | null;
}

export default function Usage({ onMenu }: { onMenu(): void }) {
  const words = useWords();
  const { account, accounts } = useSession();
  const [who, setWho] = useState<"me" | "all">("me");
  const [read, setRead] = useState<Read>();
  const [names, setNames] = useState(new Map<string, string>());
  const action = useAction();
  const everyone = who === "all";
  // biome-ignore lint/correctness/useExhaustiveDependencies: read anew when the choice changes
  useEffect(() => {
    action.run(async () => {
      setRead(await call<Read>("GET", `/usage?days=30${everyone ? "&everyone=1" : ""}`));
      if (everyone) {
        const { accounts: list } = await call<{ accounts: Account[] }>("GET", "/accounts");
        setNames(new Map(list.map((one) => [one.id, one.name])));
      }
    });
  }, [everyone]);
  const most = Math.max(1, ...(read?.days.map((day) => day.prompt + day.completion) ?? []));
  return (
    <Page title={words.usage} onMenu={onMenu}>
      <ErrorNote code={action.error} />
      {read && (
        <p className="intro">
          {words.usageToday(read.today.toLocaleString())}
          {read.quota !== null && words.usageQuota(read.quota.toLocaleString())}
        </p>
      )}
      {read && read.quota !== null && (
        <meter className="wide" min={0} max={Math.max(1, read.quota)} value={read.today} aria-label={words.quota} />
      )}
      {accounts && account?.role === "admin" && (
        <Choice
          label={words.account}
          value={who}
          options={{ me: words.onlyMe, all: words.everyone }}
          onChange={(next: "me" | "all") => setWho(next)}
        />
      )}
      {read?.days.length === 0 && <p className="quiet">{words.usageNone}</p>}
      {read && read.days.length > 0 && (
        <section
          className="table"
          aria-label={words.usage}
          // biome-ignore lint/a11y/noNoninteractiveTabindex: a wide table scrolls and must be reachable by keyboard
          tabIndex={0}
        >
          <table>
            <thead>
              <tr>
                <th>{words.usageDay}</th>
                {everyone && <th>{words.account}</th>}
                <th>{words.model}</th>
                <th className="align-right">{words.usageAnswers}</th>
                <th className="align-right">{words.usagePrompt}</th>
                <th className="align-right">{words.usageCompletion}</th>
                <th className="align-right">{words.usageTime}</th>
                <td className="bar-cell" />
              </tr>
            </thead>
            <tbody>
              {read.days.map((day) => (
                <tr key={`${day.day} ${day.model} ${day.account}`}>
                  <td>{day.day}</td>
                  {everyone && <td>{names.get(day.account) ?? day.account}</td>}
                  <td>{day.model}</td>
                  <td className="align-right">{day.answers.toLocaleString()}</td>
                  <td className="align-right">
                    {day.prompt.toLocaleString()}
                    <small>
                      {" "}
                      ({day.cached.toLocaleString()} {words.usageCached})
                    </small>
                  </td>
                  <td className="align-right">{day.completion.toLocaleString()}</td>
                  <td className="align-right">{(day.computeMs / 1000).toFixed(1)} s</td>
                  <td className="bar-cell" aria-hidden="true">
                    <meter min={0} max={most} value={day.prompt + day.completion} />
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </section>
      )}
    </Page>
  );
}
