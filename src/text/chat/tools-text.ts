// The section of the prompt that presents tools to the model. The headings and the call syntax are each generation's own; the
// sentences are Weir's (docs/chat-formats.md says what that means for official weights).

import type { Tool } from "../conversation.ts";
import type { PromptBuilder, ToolSyntax } from "./format.ts";

/** The function as models see it in schemas. */
export function toolSchema(tool: Tool): Record<string, unknown> {
  return {
    name: tool.name,
    ...(tool.description === undefined ? {} : { description: tool.description }),
    parameters: tool.parameters ?? { type: "object", properties: {} },
    ...(tool.strict === undefined ? {} : { strict: tool.strict }),
  };
}

/** JSON with a space after colons and commas, as the schemas stood in training data. */
export function spacedJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(spacedJson).join(", ")}]`;
  if (value !== null && typeof value === "object") {
    const members = Object.entries(value).filter(([, member]) => member !== undefined);
    return `{${members.map(([key, member]) => `${JSON.stringify(key)}: ${spacedJson(member)}`).join(", ")}}`;
  }
  return JSON.stringify(value) ?? "null";
}

/** V2.5 to V3.1: one paragraph per tool, then how to call. The sample call uses the real marks. */
export function toolsSection(out: PromptBuilder, tools: readonly Tool[], syntax: ToolSyntax & { kind: "json" }): void {
  out.mark("## Tools\nYou can call the following tools.\n");
  for (const tool of tools) {
    const { name, description, parameters } = toolSchema(tool);
    out.mark("\n### ").words(String(name)).mark("\nDescription: ");
    out
      .words(String(description ?? ""))
      .mark("\n\nParameters: ")
      .words(spacedJson(parameters))
      .mark("\n");
  }
  out.mark("\nTo call tools, end your answer with one block of this form, the arguments being a JSON object:\n");
  out.mark(
    `${syntax.begin}${syntax.beforeName}tool_name${syntax.beforeArguments}{"argument": "value"}${syntax.afterArguments}${syntax.end}`,
  );
  out.mark("\nWrite a call only with names and arguments that are listed above.");
}

/** V3.2 and V4: a sample of the markup, then one JSON schema per line. */
export function dsmlToolsSection(
  out: PromptBuilder,
  tools: readonly Tool[],
  syntax: ToolSyntax & { kind: "dsml" },
): void {
  const [parameterName, parameterIs, parameterValue] = syntax.parameter;
  out.mark(`## Tools\n\nYou can call tools by writing a block of this form:\n\n${syntax.begin.trimStart()}`);
  out.mark(`${syntax.invoke[0]}$TOOL_NAME${syntax.invoke[1]}`);
  out.mark(
    `${parameterName}$PARAMETER_NAME${parameterIs}true|false${parameterValue}$PARAMETER_VALUE${syntax.endParameter}`,
  );
  out.mark(`...\n${syntax.endInvoke}...\n${syntax.end}\n\n`);
  out.mark(
    'Strings are written as they are with string="true"; every other value is written as JSON with string="false". ',
  );
  out.mark("When you think, finish thinking before you call a tool.\n\n### Available Tool Schemas\n\n");
  tools.forEach((tool, i) => {
    out.mark(i === 0 ? "" : "\n").words(spacedJson(toolSchema(tool)));
  });
  out.mark("\n\nCall only these tools, with parameters as their schemas have them.");
}
