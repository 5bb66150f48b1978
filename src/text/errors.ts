// The one error of the text layer: something read from outside (a vocabulary file, a template, a pattern) cannot be used.

/** Names the file or field, the offending value and what to do about it. */
export class TextError extends Error {
  override name = "TextError";
}
