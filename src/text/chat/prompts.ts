// Prompts that put uploaded files and search results before a question, in the layout that DeepSeek's models know from their
// own application ("Official Prompts" in the README of DeepSeek-R1). The brackets and their order are DeepSeek's, the sentences are Weir's.

export type PromptLanguage = "zh" | "en";

export interface UploadedFile {
  name: string;
  content: string;
}

/** Files first, each between its marks, then the question. */
export function fileUploadPrompt(files: readonly UploadedFile[], question: string): string {
  const parts = files.map(
    ({ name, content }) => `[file name]: ${oneLine(name)}\n[file content begin]\n${content}\n[file content end]\n`,
  );
  return parts.join("") + question;
}

export interface WebPage {
  title?: string;
  url?: string;
  content: string;
}

export interface WebSearch {
  pages: readonly WebPage[];
  question: string;
  language: PromptLanguage;
  /** Said to the model as today. */
  today: Date;
  timeZone?: string;
}

/** The results in order, X counting from 1, then how to use them, then the question. */
export function webSearchPrompt(search: WebSearch): string {
  const pages = search.pages.map(({ title, url, content }, i) => {
    const head = [title, url].filter((text) => text !== undefined && text !== "").map((text) => oneLine(text!));
    return `[webpage ${i + 1} begin]${[...head, content].join("\n")}[webpage ${i + 1} end]`;
  });
  const today = new Intl.DateTimeFormat(search.language === "zh" ? "zh-CN" : "en-GB", {
    dateStyle: "full",
    timeZone: search.timeZone,
  }).format(search.today);
  return search.language === "zh" ? chinese(pages, today, search.question) : english(pages, today, search.question);
}

function chinese(pages: string[], today: string, question: string): string {
  return `# 下面是针对用户问题的搜索结果：
${pages.join("\n")}
每条结果的格式是 [webpage X begin]……[webpage X end]，X 是结果的序号。引用某条结果时，请在用到它的那句话末尾写 [citation:X]；一句话依据多条结果时可以连写，例如 [citation:3][citation:5]。引用要分散写在正文里，不要集中放在回答末尾。
作答时请注意：
- 今天是${today}。
- 搜索结果不一定都与问题有关，请自行判断和取舍。
- 列举类问题（例如列出某类事物）请控制在十条以内，把信息最完整、来源最可靠的放在前面，并告诉用户可以继续查看来源；如果不是必要，不要主动说搜索结果没有提供的内容。
- 创作类问题（例如写文章）也要在正文中注明引用，篇幅要足够长，内容要充实，理解用户的意图并选择合适的体裁。
- 回答较长时请分层次组织；需要分点时尽量不超过五点，把相关的内容合并。
- 客观问题如果答案很短，可以补充一两句相关信息。
- 请综合多个网页的内容，不要反复引用同一个网页。
- 选择清晰易读的格式；除非用户另有要求，请使用与提问相同的语言。

# 用户的问题：
${question}`;
}

function english(pages: string[], today: string, question: string): string {
  return `# Search results for the user's question:
${pages.join("\n")}
Each result stands between [webpage X begin] and [webpage X end], X being its number. When a sentence of your answer rests on a result, end it with [citation:X]; several may follow each other, as in [citation:3][citation:5]. Spread citations through the text and never collect them at the end.
Keep in mind:
- Today is ${today}.
- Not every result bears on the question; judge and choose.
- When asked for a list, give at most ten items, the most complete and reliable sources first, and say that the sources hold more. Do not volunteer what the results lack unless it matters.
- For creative tasks, cite inside the text too, write at length and with substance, and pick a form that suits the request.
- Give a long answer a structure; if you use points, use at most five and merge what belongs together.
- When a factual answer is very short, add a sentence or two of related information.
- Draw several pages together instead of citing one again and again.
- Choose a readable layout, and answer in the language of the question unless asked otherwise.

# The user's question:
${question}`;
}

function oneLine(text: string): string {
  return text.replaceAll(/\s+/g, " ").trim();
}
