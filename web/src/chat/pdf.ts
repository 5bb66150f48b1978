// The text of a PDF, read in the browser with pdf.js, which is loaded when the first PDF is attached. Pictures of text (scans)
// have none.
import { GlobalWorkerOptions, getDocument } from "pdfjs-dist";
import Reader from "pdfjs-dist/build/pdf.worker.min.mjs?worker";

/** Pages joined by an empty line; stops after `most` characters. Rejects for what is locked, broken or no PDF. */
export async function pdfText(bytes: Uint8Array<ArrayBuffer>, most: number): Promise<string> {
  GlobalWorkerOptions.workerPort ??= new Reader();
  const loading = getDocument({
    data: bytes,
    // The character tables of older Chinese, Japanese and Korean files; vite.config.ts puts them there.
    cMapUrl: `${import.meta.env.BASE_URL}pdf-cmaps/`,
    cMapPacked: true,
    disableFontFace: true,
    useSystemFonts: false,
    useWasm: false,
  });
  try {
    const document = await loading.promise;
    let text = "";
    for (let number = 1; number <= document.numPages && text.length <= most; number++) {
      const page = await document.getPage(number);
      const { items } = await page.getTextContent();
      const lines = items.map((item) => ("str" in item ? item.str + (item.hasEOL ? "\n" : "") : "")).join("");
      if (lines.trim() !== "") text += `${text === "" ? "" : "\n\n"}${lines.trim()}`;
      page.cleanup();
    }
    return text;
  } finally {
    await loading.destroy();
  }
}
