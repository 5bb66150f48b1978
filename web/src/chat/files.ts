// Reads files into attachments: text of any kind and the text of PDFs, refused with a code when it is too large or has none.
import type { Attachment } from "../../../src/server/app/protocol.ts";
import { limits } from "../../../src/server/app/protocol.ts";

/** Pasted text longer than this becomes a file. */
export const longPaste = 4000;

const largestPdf = 64 * 1024 * 1024;

type Refused = { error: "file_too_large" | "file_unknown" | "pdf_unreadable" | "pdf_without_text" };

async function readPdf(name: string, bytes: Uint8Array<ArrayBuffer>): Promise<Attachment | Refused> {
  let text: string;
  try {
    const { pdfText } = await import("./pdf.ts");
    text = await pdfText(bytes, limits.attachment);
  } catch {
    return { error: "pdf_unreadable" };
  }
  if (text === "") return { error: "pdf_without_text" };
  if (text.length > limits.attachment) return { error: "file_too_large" };
  return { name, type: "application/pdf", text };
}

export async function readFile(file: File): Promise<Attachment | Refused> {
  const name = file.name.slice(0, 255) || "file.txt";
  if ((await file.slice(0, 5).text()) === "%PDF-")
    return file.size > largestPdf
      ? { error: "file_too_large" }
      : readPdf(name, new Uint8Array(await file.arrayBuffer()));
  if (file.size > limits.attachment * 4) return { error: "file_too_large" };
  const bytes = new Uint8Array(await file.arrayBuffer());
  let text: string;
  try {
    const utf16 = bytes[0] === 0xff && bytes[1] === 0xfe;
    text = new TextDecoder(utf16 ? "utf-16le" : "utf-8", { fatal: true }).decode(bytes);
  } catch {
    try {
      // Older Chinese text files.
      text = new TextDecoder("gb18030", { fatal: true }).decode(bytes);
    } catch {
      return { error: "file_unknown" };
    }
  }
  if (/[\0\x01-\x08\x0e-\x1a]/.test(text.slice(0, 10_000))) return { error: "file_unknown" };
  if (text.length > limits.attachment) return { error: "file_too_large" };
  return { name, type: file.type.slice(0, 100), text };
}
