// What a data file comes to as training documents: counts, lengths, duplicates, and samples with the loss mask coloured.
import { createHash } from "node:crypto";
import type { ChatFormat } from "../text/chat/format.ts";
import type { Tokenizer } from "../text/tokenizer.ts";
import { chatDocument, textIds } from "./documents.ts";
import type { Row, Rows } from "./rows.ts";

export interface DataReport {
  documents: number;
  tokens: number;
  /** Tokens with a loss. */
  learnt: number;
  /** Shortest, middle, ninth tenth, longest document in tokens. */
  lengths: [number, number, number, number];
  /** Rows that repeat an earlier one, as [row, earlier row]. */
  duplicates: [number, number][];
  /** Rows the chat format cannot write. */
  refused: { row: number; reason: string }[];
}

const documentOf = (row: Row, tokenizer: Tokenizer, chat: ChatFormat | undefined) => {
  if (row.kind === "text") return { ids: textIds(tokenizer, row.text), weights: undefined };
  if (!chat) throw new RangeError("conversations need a chat format");
  const { conversation } = row;
  if (row.kind === "chat") return chatDocument(tokenizer, chat, conversation);
  return chatDocument(tokenizer, chat, {
    messages: [...conversation.messages, { role: "assistant", content: row.answer }],
  });
};

export function inspectRows({ rows, numbers }: Rows, tokenizer: Tokenizer, chat: ChatFormat | undefined): DataReport {
  const seen = new Map<string, number>();
  const lengths: number[] = [];
  const report: DataReport = {
    documents: 0,
    tokens: 0,
    learnt: 0,
    lengths: [0, 0, 0, 0],
    duplicates: [],
    refused: [],
  };
  rows.forEach((row, i) => {
    const key = createHash("sha256").update(JSON.stringify(row)).digest("base64");
    const earlier = seen.get(key);
    if (earlier !== undefined) report.duplicates.push([numbers[i], earlier]);
    else seen.set(key, numbers[i]);
    try {
      const { ids, weights } = documentOf(row, tokenizer, chat);
      lengths.push(ids.length);
      report.tokens += ids.length;
      report.learnt += weights ? weights.filter((w) => w > 0).length : Math.max(0, ids.length - 1);
    } catch (error) {
      report.refused.push({ row: numbers[i], reason: (error as Error).message });
    }
  });
  report.documents = lengths.length;
  lengths.sort((a, b) => a - b);
  if (lengths.length > 0)
    report.lengths = [0, 0.5, 0.9, 1].map(
      (q) => lengths[Math.round(q * (lengths.length - 1))],
    ) as DataReport["lengths"];
  return report;
}

/** A row as the model sees it; tokens with a loss are green and underlined on a terminal, in ⟦ ⟧ without colour. */
export function showRow(row: Row, tokenizer: Tokenizer, chat: ChatFormat | undefined, colour: boolean): string {
  const { ids, weights } = documentOf(row, tokenizer, chat);
  const [on, off] = colour ? ["\u001b[4;32m", "\u001b[0m"] : ["⟦", "⟧"];
  let text = "";
  let from = 0;
  const learns = (t: number): boolean => (weights ? t > 0 && weights[t - 1] > 0 : t > 0);
  while (from < ids.length) {
    let to = from + 1;
    while (to < ids.length && learns(to) === learns(from)) to++;
    // Words from outside must not steer the terminal.
    const piece = tokenizer.decode(ids.subarray(from, to)).replace(/[^\P{C}\n\t]/gu, "?");
    text += learns(from) ? on + piece + off : piece;
    from = to;
  }
  return text;
}
