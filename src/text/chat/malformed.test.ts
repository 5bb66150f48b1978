// Malformed answers and what becomes of them: the corpus behind the recovery rules of docs/chat-formats.md. Each one is also
// cut at every position and fed character by character, which must not change a thing.
import assert from "node:assert/strict";
import { test } from "node:test";
import { awkwardText, seeded } from "../text.fixture.ts";
import { parse } from "./chat.fixture.ts";
import { ASSISTANT, CALL_BEGIN, CALL_END, CALLS_BEGIN, CALLS_END, EOS, THINK, TOOL_SEP, USER } from "./marks.ts";
import { CHAT_FORMATS, chatFormatNamed } from "./select.ts";

interface Case {
  rule: string;
  format: string;
  thinking?: boolean;
  answer: string;
  reasoning?: string;
  content?: string;
  /** name and arguments of each call. */
  calls?: [string, string][];
}

const D = "｜DSML｜";
const fenced = (name: string, args: string) =>
  `${CALL_BEGIN}function${TOOL_SEP}${name}\n\`\`\`json\n${args}\n\`\`\`${CALL_END}`;
const bare = (name: string, args: string) => `${CALL_BEGIN}${name}${TOOL_SEP}${args}${CALL_END}`;

const CASES: Case[] = [
  // 1. Thinking that does not end.
  { rule: "1", format: "deepseek-r1", thinking: true, answer: "only thought", reasoning: "only thought" },
  { rule: "1", format: "deepseek-v3.1", thinking: true, answer: "thought</thin", reasoning: "thought</thin" },
  { rule: "1", format: "deepseek-v4", thinking: true, answer: "", reasoning: undefined },
  // 2. Thinking marks that the model repeats or adds.
  {
    rule: "2",
    format: "deepseek-r1",
    thinking: true,
    answer: "<think>\nr\n</think>\n\nc",
    reasoning: "r",
    content: "c",
  },
  { rule: "2", format: "deepseek-r1", answer: "<think>\nr\n</think>\n\nc", reasoning: "r", content: "c" },
  { rule: "2", format: "deepseek-v3.1", answer: "</think>c", content: "c" },
  { rule: "2", format: "deepseek-v4", answer: "\n<think>r</think>c", reasoning: "r", content: "c" },
  {
    rule: "2",
    format: "deepseek-v3.1",
    thinking: true,
    answer: "<think><think>r</think>c",
    reasoning: "r",
    content: "c",
  },
  {
    rule: "2",
    format: "deepseek-v3.2",
    thinking: true,
    answer: "r</think>c</think>d",
    reasoning: "r",
    content: "c</think>d",
  },
  {
    rule: "2",
    format: "deepseek-v3.2",
    thinking: true,
    answer: "r</think>c<think>d",
    reasoning: "r",
    content: "c<think>d",
  },
  // 3. A tool block inside thinking.
  {
    rule: "3",
    format: "deepseek-v3.1",
    thinking: true,
    answer: `hm\n\n${CALLS_BEGIN}${bare("f", '{"a": 1}')}${CALLS_END}`,
    reasoning: "hm",
    calls: [["f", '{"a": 1}']],
  },
  {
    rule: "3",
    format: "deepseek-v4",
    thinking: true,
    answer: `hm\n\n<${D}tool_calls>\n<${D}invoke name="f">\n<${D}parameter name="a" string="true">x</${D}parameter>\n</${D}invoke>\n</${D}tool_calls>`,
    reasoning: "hm",
    calls: [["f", '{"a": "x"}']],
  },
  // 4. Calls cut off.
  { rule: "4", format: "deepseek-v3", answer: `${CALLS_BEGIN}${CALL_BEGIN}function`, calls: undefined },
  {
    rule: "4",
    format: "deepseek-v3",
    answer: `${CALLS_BEGIN}${CALL_BEGIN}function${TOOL_SEP}get\n\`\`\`json\n{"a": "unfin`,
    calls: [["get", '{"a": "unfin']],
  },
  {
    rule: "4",
    format: "deepseek-v3",
    answer: `${CALLS_BEGIN}${CALL_BEGIN}function${TOOL_SEP}get\n\`\`\`json\n{"a": 1}\n\`\``,
    calls: [["get", '{"a": 1}']],
  },
  {
    rule: "4",
    format: "deepseek-v3.1",
    answer: `${CALLS_BEGIN}${bare("f", "{}")}${CALL_BEGIN}g${TOOL_SEP}{"a": [1, `,
    calls: [
      ["f", "{}"],
      ["g", '{"a": [1, '],
    ],
  },
  {
    rule: "4",
    format: "deepseek-v3.2",
    answer: `<${D}function_calls>\n<${D}invoke name="f">\n<${D}parameter name="a" string="true">un"fin`,
    calls: [["f", '{"a": "un\\"fin']],
  },
  { rule: "4", format: "deepseek-v3.2", answer: `c<${D}function_calls>\n<${D}invoke na`, content: "c" },
  // 5. End marks that are missing inside the block.
  {
    rule: "5",
    format: "deepseek-v3.1",
    answer: `${CALLS_BEGIN}${CALL_BEGIN}f${TOOL_SEP}{"a": 1}${CALL_BEGIN}g${TOOL_SEP}{}${CALLS_END}`,
    calls: [
      ["f", '{"a": 1}'],
      ["g", "{}"],
    ],
  },
  {
    rule: "5",
    format: "deepseek-v3.1",
    answer: `${CALLS_BEGIN}${CALL_BEGIN}f${TOOL_SEP}{"a": 1}${EOS}`,
    calls: [["f", '{"a": 1}']],
  },
  { rule: "5", format: "deepseek-v3.1", answer: `c${bare("f", "{}")}`, content: "c", calls: [["f", "{}"]] },
  {
    rule: "5",
    format: "deepseek-v4",
    answer: `<${D}tool_calls>\n<${D}invoke name="f">\n<${D}parameter name="a" string="false">1\n<${D}parameter name="b" string="false">[2]</${D}invoke>\n<${D}invoke name="g">\n</${D}tool_calls>`,
    calls: [
      ["f", '{"a": 1, "b": [2]}'],
      ["g", "{}"],
    ],
  },
  {
    rule: "5",
    format: "deepseek-v4",
    answer: `<${D}invoke name="f">\n<${D}parameter name="a" string="true">x</${D}parameter>\n</${D}invoke>`,
    calls: [["f", '{"a": "x"}']],
  },
  // 6. Text after the block.
  {
    rule: "6",
    format: "deepseek-v3",
    answer: `c${CALLS_BEGIN}${fenced("f", "{}")}${CALLS_END}\n\n`,
    content: "c",
    calls: [["f", "{}"]],
  },
  {
    rule: "6",
    format: "deepseek-v3",
    answer: `${CALLS_BEGIN}${fenced("f", "{}")}${CALLS_END}\nand more`,
    content: "and more",
    calls: [["f", "{}"]],
  },
  {
    rule: "6",
    format: "deepseek-v3",
    answer: `${CALLS_BEGIN}${fenced("f", "{}")} I will wait.`,
    content: "I will wait.",
    calls: [["f", "{}"]],
  },
  {
    rule: "6",
    format: "deepseek-v4",
    answer: `<${D}tool_calls>\n<${D}invoke name="f">\n</${D}invoke>\n</${D}tool_calls>\n<${D}tool_calls>\n<${D}invoke name="g">\n</${D}invoke>\n</${D}tool_calls>`,
    calls: [
      ["f", "{}"],
      ["g", "{}"],
    ],
  },
  {
    rule: "6",
    format: "deepseek-v3.2",
    thinking: true,
    answer: `r</think>c${EOS}${USER}x${ASSISTANT}${THINK}`,
    reasoning: "r",
    content: "c",
  },
  // 7. Another generation's way to write a call.
  {
    rule: "7",
    format: "deepseek-v3",
    answer: `${CALLS_BEGIN}${bare("f", '{"a": 1}')}${CALLS_END}`,
    calls: [["f", '{"a": 1}']],
  },
  {
    rule: "7",
    format: "deepseek-v3.1",
    answer: `${CALLS_BEGIN}${fenced("f", '{"a": 1}')}${CALLS_END}`,
    calls: [["f", '{"a": 1}']],
  },
  {
    rule: "7",
    format: "deepseek-v3.1",
    answer: `${CALLS_BEGIN}${bare("function", '{"a": 1}')}${CALLS_END}`,
    calls: [["function", '{"a": 1}']],
  },
  {
    rule: "7",
    format: "deepseek-r1",
    answer: `${CALLS_BEGIN}${CALL_BEGIN}function${TOOL_SEP}f\n{"a": 1}${CALL_END}${CALLS_END}`,
    calls: [["f", '{"a": 1}']],
  },
  {
    rule: "7",
    format: "deepseek-v3.2",
    answer: `<${D}tool_calls>\n<${D}invoke name="f">\n{"a": 1}\n</${D}invoke>\n</${D}tool_calls>`,
    calls: [["f", '{"a": 1}']],
  },
  // 8. Values and names that are wrong.
  {
    rule: "8",
    format: "deepseek-v4",
    answer: `<${D}tool_calls>\n<${D}invoke name="f">\n<${D}parameter name="a" string="false">not json</${D}parameter>\n<${D}parameter name="b">7</${D}parameter>\n<${D}parameter name="c">seven</${D}parameter>\n</${D}invoke>\n</${D}tool_calls>`,
    calls: [["f", '{"a": "not json", "b": 7, "c": "seven"}']],
  },
  {
    rule: "8",
    format: "deepseek-v4",
    answer: `<${D}tool_calls>\n<${D}invoke>\n<${D}parameter name="a" string="true">x</${D}parameter>\n</${D}invoke>\n</${D}tool_calls>`,
  },
  {
    rule: "8",
    format: "deepseek-v3",
    answer: `${CALLS_BEGIN}${CALL_BEGIN}function${TOOL_SEP}f${CALL_END}${CALLS_END}`,
    calls: [["f", "{}"]],
  },
  { rule: "8", format: "deepseek-v3.1", answer: `${CALLS_BEGIN}${CALLS_END}c`, content: "c" },
  // 9. A model that writes the user's part.
  { rule: "9", format: "deepseek-v2", answer: " 4.\n\nUser: and 3+3?", content: "4." },
  { rule: "9", format: "deepseek-coder", answer: "x\n<|EOT|>\n### Instruction:\ny", content: "x" },
  { rule: "9", format: "deepseek-coder", answer: "x\n", content: "x" },
];

for (const item of CASES) {
  test(`rule ${item.rule}, ${item.format}: ${JSON.stringify(item.answer.slice(0, 60))}`, () => {
    const format = chatFormatNamed(item.format);
    const start = { startsInThinking: item.thinking ?? false };
    const whole = parse(format, [item.answer], start);
    assert.deepEqual(
      {
        reasoning: whole.reasoningContent,
        content: whole.content,
        calls: whole.toolCalls?.map((c) => [c.name, c.arguments]),
      },
      { reasoning: item.reasoning, content: item.content ?? "", calls: item.calls },
    );
    for (let cut = 0; cut <= item.answer.length; cut++) {
      assert.deepEqual(
        parse(format, [item.answer.slice(0, cut), item.answer.slice(cut)], start),
        whole,
        `cut at ${cut}`,
      );
    }
    assert.deepEqual(parse(format, item.answer.split(""), start), whole);
  });
}

test("any sequence of marks and text parses, the same however it is cut", () => {
  const random = seeded(31);
  const scraps = CASES.flatMap((item) => item.answer.split(/(?=<)|(?<=>)/));
  for (let i = 0; i < 3000; i++) {
    const format = CHAT_FORMATS[i % CHAT_FORMATS.length];
    let answer = "";
    for (let n = Math.floor(random() * 14); n > 0; n--) {
      answer += random() < 0.7 ? scraps[Math.floor(random() * scraps.length)] : awkwardText(random, 2);
    }
    const start = { startsInThinking: random() < 0.5, continuesContent: random() < 0.2 };
    const whole = parse(format, [answer], start);
    assert.deepEqual(parse(format, answer.split(""), start), whole, JSON.stringify([format.name, start, answer]));
    const at = Math.floor(random() * answer.length);
    assert.deepEqual(parse(format, [answer.slice(0, at), answer.slice(at)], start), whole, JSON.stringify(answer));
  }
});

test("a long answer in small pieces takes linear time", () => {
  for (const format of CHAT_FORMATS) {
    const before = process.cpuUsage();
    const piece = "word \n<";
    assert.equal(
      parse(format, Array(60_000).fill(piece), { startsInThinking: false, continuesContent: true }).content.length,
      420_000,
    );
    assert.ok(process.cpuUsage(before).user < 10e6);
  }
});
