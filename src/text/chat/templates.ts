// Jinja chat templates that say what the renderers of v3.ts do, for the tokenizer_config.json of models that Weir writes and
// for the programs that read it (transformers, vLLM, llama.cpp).

import { ASSISTANT, BOS, EOS, OUTPUT_BEGIN, OUTPUT_END, USER } from "./marks.ts";
import type { V3Style } from "./v3.ts";

/** A Jinja string literal. */
function quote(text: string): string {
  return `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'").replaceAll("\n", "\\n")}'`;
}

/** The template without its tools section: tools are left to programs that know the format. */
export function jinjaTemplate(style: V3Style): string {
  const { thinking, calls, outputs } = style;
  const lines = [
    "{%- set ns = namespace(system='', previous='') -%}",
    "{%- for message in messages -%}",
    "{%- if message['role'] == 'system' or message['role'] == 'developer' -%}",
    "{%- set ns.system = ns.system + ('\\n\\n' if ns.system else '') + message['content'] -%}",
    "{%- endif -%}",
    "{%- endfor -%}",
  ];
  if (thinking) {
    lines.push(
      `{%- if enable_thinking is defined -%}{%- set thinks = enable_thinking -%}`,
      `{%- elif thinking is defined -%}{%- set thinks = thinking -%}`,
      `{%- elif add_generation_prompt -%}{%- set thinks = ${thinking.byDefault} -%}`,
      "{%- else -%}{%- set thinks = messages[-1]['reasoning_content'] is string -%}{%- endif -%}",
    );
  }
  lines.push(
    `{{- ${quote(BOS)} + ns.system -}}`,
    "{%- for message in messages -%}",
    `{%- if message['role'] == 'user' -%}{{- ${quote(USER)} + message['content'] -}}`,
    "{%- elif message['role'] == 'tool' -%}",
    `{{- ${quote(outputs[1])} if ns.previous == 'tool' else ${quote(outputs[0])} -}}`,
    `{{- ${quote(OUTPUT_BEGIN)} + message['content'] + ${quote(OUTPUT_END)} -}}`,
    `{%- if loop.last or messages[loop.index0 + 1]['role'] != 'tool' -%}{{- ${quote(outputs[2])} -}}{%- endif -%}`,
    "{%- elif message['role'] == 'assistant' -%}",
    `{%- if ns.previous != 'tool' -%}{{- ${quote(ASSISTANT)} -}}{%- endif -%}`,
  );
  if (thinking) {
    lines.push(
      `{%- if thinks and loop.last and message['reasoning_content'] is string -%}`,
      `{{- ${quote(thinking.open)} + message['reasoning_content'] + ${quote(thinking.after)} -}}`,
      `{%- elif ns.previous != 'tool' -%}{{- ${quote(thinking.closed)} if loop.last else ${quote(thinking.dropped)} -}}{%- endif -%}`,
    );
  }
  lines.push(
    "{%- if message['content'] is string -%}{{- message['content'] -}}{%- endif -%}",
    "{%- if message['tool_calls'] -%}{%- for call in message['tool_calls'] -%}",
    `{{- (${quote(calls.begin)} if loop.first else ${quote(calls.separator)}) + ${quote(calls.beforeName)} + call['function']['name'] -}}`,
    `{{- ${quote(calls.beforeArguments)} + call['function']['arguments'] + ${quote(calls.afterArguments)} -}}`,
    `{%- endfor -%}{{- ${quote(calls.end)} -}}{%- endif -%}`,
    `{{- ${quote(EOS)} -}}`,
    "{%- endif -%}",
    "{%- if message['role'] not in ['system', 'developer'] -%}{%- set ns.previous = message['role'] -%}{%- endif -%}",
    "{%- endfor -%}",
    "{%- if add_generation_prompt and ns.previous != 'tool' -%}",
    `{{- ${quote(ASSISTANT)} -}}`,
  );
  if (thinking) lines.push(`{{- ${quote(thinking.open)} if thinks else ${quote(thinking.closed)} -}}`);
  lines.push("{%- endif -%}");
  return lines.join("");
}
