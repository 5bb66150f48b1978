// Unsent text, kept in the browser per conversation until it is sent.
import type { Attachment } from "../../../src/server/app/protocol.ts";

export interface Draft {
  text: string;
  attachments: Attachment[];
}

const keyOf = (conversation: string | undefined): string => `weir-draft ${conversation ?? "new"}`;

export function readDraft(conversation: string | undefined): Draft {
  try {
    const draft = JSON.parse(localStorage.getItem(keyOf(conversation)) ?? "{}");
    return { text: draft.text ?? "", attachments: draft.attachments ?? [] };
  } catch {
    return { text: "", attachments: [] };
  }
}

export function keepDraft(conversation: string | undefined, draft: Draft): void {
  try {
    if (draft.text === "" && draft.attachments.length === 0) localStorage.removeItem(keyOf(conversation));
    else localStorage.setItem(keyOf(conversation), JSON.stringify(draft));
  } catch {
    // Too large for the browser's storage: the text itself is still kept, attachments last for this page.
    try {
      localStorage.setItem(keyOf(conversation), JSON.stringify({ text: draft.text, attachments: [] }));
    } catch {
      // No storage at all.
    }
  }
}

/** Who logs out leaves nothing written behind on a shared browser. */
export function forgetDrafts(): void {
  for (const key of Object.keys(localStorage)) if (key.startsWith("weir-draft ")) localStorage.removeItem(key);
}
