// The application's API through its front door, with a scripted engine: accounts, sessions, CSRF, throttling, the event log,
// running answers, quotas, import and export.
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Hono } from "hono";
import { scripted } from "../../../test/chat-app/scripted.ts";
import type { AppDeps } from "./deps.ts";
import { mountApp } from "./index.ts";
import type { ChatMessage } from "./protocol.ts";

// biome-ignore lint/suspicious/noExplicitAny: the wire's JSON, whose shape the assertions check
type Json = Record<string, any>;

class Browser {
  cookie = "";
  headers: Record<string, string> = {};
  #app: Hono;

  constructor(app: Hono) {
    this.#app = app;
  }

  async raw(method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<Response> {
    const response = await this.#app.request(`http://127.0.0.1:8080/app/api${path}`, {
      method,
      headers: {
        host: "127.0.0.1:8080",
        ...(method === "GET" ? {} : { "x-weir-app": "1", origin: "http://127.0.0.1:8080" }),
        ...(this.cookie ? { cookie: this.cookie } : {}),
        ...this.headers,
        ...headers,
      },
      ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
    });
    const set = response.headers.get("set-cookie");
    if (set) this.cookie = set.split(";")[0];
    return response;
  }

  async send(method: string, path: string, body?: unknown, expected = [200, 201]): Promise<Json> {
    const response = await this.raw(method, path, body);
    const json = (await response.json()) as Json;
    assert.ok(expected.includes(response.status), `${method} ${path}: ${response.status} ${JSON.stringify(json)}`);
    return json;
  }

  async refused(method: string, path: string, body: unknown, status: number, code: string): Promise<Json> {
    const json = await this.send(method, path, body, [status]);
    assert.equal(json.error.code, code);
    return json.error;
  }
}

function start(options: Partial<AppDeps> = {}) {
  const engine = scripted(options);
  const app = new Hono();
  const mounted = mountApp(app, engine.deps);
  return { engine, app, mounted, browser: () => new Browser(app) };
}

const tokenIn = (printed: string[]): string => /token: (\S+)/.exec(printed.join("\n"))![1];

async function withAdmin() {
  const server = start({ accounts: true });
  const admin = server.browser();
  await admin.send("POST", "/setup", { token: tokenIn(server.engine.printed), name: "Ada", password: "correct horse" });
  return { ...server, admin };
}

async function finished(browser: Browser, id: string): Promise<Json> {
  for (let tries = 0; tries < 200; tries++) {
    const loaded = await browser.send("GET", `/conversations/${id}`);
    if (loaded.running === null) return loaded;
    await sleep(10);
  }
  throw new Error("the answer did not end");
}

let counter = 0;
const newMessage = () => `message-${++counter}`;

async function ask(browser: Browser, id: string, content: string, parent: string | null = null, settings = {}) {
  const message = newMessage();
  const { answer } = await browser.send("POST", `/conversations/${id}/messages`, {
    id: message,
    parent,
    content,
    settings,
  });
  return { message, answer: answer as string };
}

const find = (loaded: Json, id: string): ChatMessage =>
  loaded.conversation.messages.find((one: ChatMessage) => one.id === id);

test("first run needs the token printed in the terminal and works once", async () => {
  const { browser, engine } = start({ accounts: true });
  const visitor = browser();
  assert.deepEqual(await visitor.send("GET", "/hello"), { accounts: true, needsSetup: true, account: null });
  const body = { name: "Ada", password: "correct horse" };
  await visitor.refused("POST", "/setup", { ...body, token: "guess" }, 403, "wrong_setup_token");
  const token = tokenIn(engine.printed);
  await visitor.refused("POST", "/setup", { ...body, password: "short", token }, 400, "weak_password");
  const { account } = await visitor.send("POST", "/setup", { ...body, token });
  assert.equal(account.role, "admin");
  assert.equal((await visitor.send("GET", "/hello")).account.name, "Ada");
  await browser().refused("POST", "/setup", { ...body, name: "Eve", token }, 409, "already_set_up");
});

test("strangers get nothing, and cookies are HttpOnly and SameSite=Strict", async () => {
  const { browser, admin } = await withAdmin();
  for (const path of ["/conversations", "/usage", "/models", "/accounts", "/events", "/export", "/nonsense"])
    await browser().refused("GET", path, undefined, 401, "login_needed");
  const set = (await admin.raw("POST", "/login", { name: "ada", password: "correct horse" })).headers.get(
    "set-cookie",
  )!;
  assert.match(set, /HttpOnly/);
  assert.match(set, /SameSite=Strict/);
  assert.match(set, /Path=\/app/);
});

test("a login makes a new session and ends a planted one", async () => {
  const { browser, admin } = await withAdmin();
  const planted = browser();
  planted.cookie = "weir_session=chosen-by-the-attacker";
  await planted.send("POST", "/login", { name: "Ada", password: "correct horse" });
  assert.notEqual(planted.cookie, "weir_session=chosen-by-the-attacker");
  const before = planted.cookie;
  await planted.send("POST", "/login", { name: "Ada", password: "correct horse" });
  assert.notEqual(planted.cookie, before);
  const old = browser();
  old.cookie = before;
  await old.refused("GET", "/sessions", undefined, 401, "login_needed");

  const { sessions, current } = await admin.send("GET", "/sessions");
  assert.equal(sessions.length, 2);
  await admin.send("DELETE", `/sessions/${sessions.find((one: Json) => one.id !== current).id}`);
  await planted.refused("GET", "/sessions", undefined, 401, "login_needed");
  await admin.send("POST", "/logout");
  await admin.refused("GET", "/sessions", undefined, 401, "login_needed");
});

test("changing the password ends all other sessions", async () => {
  const { browser, admin } = await withAdmin();
  const other = browser();
  await other.send("POST", "/login", { name: "Ada", password: "correct horse" });
  await admin.refused("POST", "/password", { current: "wrong", next: "battery staple" }, 403, "wrong_password");
  await admin.send("POST", "/password", { current: "correct horse", next: "battery staple" });
  await other.refused("GET", "/sessions", undefined, 401, "login_needed");
  await other.refused("POST", "/login", { name: "Ada", password: "correct horse" }, 401, "wrong_login");
  await admin.send("GET", "/sessions");
});

test("changes from elsewhere are refused: foreign origin, missing header, cross-site fetch", async () => {
  const { admin } = await withAdmin();
  const attempts: Record<string, string>[] = [
    { origin: "https://evil.example" },
    { origin: "null" },
    { "x-weir-app": "" },
    { "sec-fetch-site": "cross-site" },
    { "sec-fetch-site": "same-site" },
    { origin: "http://127.0.0.1:9999" },
  ];
  for (const headers of attempts) {
    const response = await admin.raw("POST", "/folders", { name: "x" }, headers);
    assert.equal(response.status, 403, JSON.stringify(headers));
  }
  await admin.send("POST", "/folders", { name: "x" });
});

test("a foreign host name is refused, so that DNS rebinding reads nothing", async () => {
  const { browser } = start({ hosts: ["127.0.0.1", "localhost"] });
  assert.equal((await browser().raw("GET", "/conversations", undefined, { host: "evil.example:8080" })).status, 403);
  assert.equal((await browser().raw("GET", "/conversations", undefined, { host: "localhost:8080" })).status, 200);
});

test("guessing passwords is slowed, for one name and one address", async () => {
  let now = 1_000_000;
  const server = start({
    accounts: true,
    now: () => now,
    address: (request) => request.headers.get("x-test-address") ?? "a",
  });
  const admin = server.browser();
  await admin.send("POST", "/setup", { token: tokenIn(server.engine.printed), name: "Ada", password: "correct horse" });
  const guesser = server.browser();
  guesser.headers["x-test-address"] = "b";
  for (let tries = 0; tries < 5; tries++)
    await guesser.refused("POST", "/login", { name: "Ada", password: `guess ${tries}` }, 401, "wrong_login");
  const refusal = await guesser.refused("POST", "/login", { name: "Ada", password: "correct horse" }, 429, "slow_down");
  assert.ok(refusal.retryAfter >= 1);
  await guesser.refused("POST", "/login", { name: "Bob", password: "another" }, 429, "slow_down");
  now += 3000;
  await guesser.send("POST", "/login", { name: "Ada", password: "correct horse" });
});

test("invitations work once, members do not administer, the last administrator stays", async () => {
  const { browser, admin } = await withAdmin();
  const { token } = await admin.send("POST", "/invitations", { role: "member", quota: 500, days: 1 });
  const member = browser();
  await member.send("POST", "/join", { token, name: "小明", password: "a good password" });
  await browser().refused("POST", "/join", { token, name: "Eve", password: "a good password" }, 403, "invitation_void");
  for (const [method, path, body] of [
    ["GET", "/accounts", undefined],
    ["POST", "/invitations", {}],
    ["POST", "/models/unload", { name: "tutor" }],
    ["GET", "/usage?everyone=1", undefined],
  ] as const)
    await member.refused(method, path, body, 403, "admin_needed");
  const { accounts } = await admin.send("GET", "/accounts");
  assert.deepEqual(
    accounts.map((one: Json) => [one.name, one.role, one.quota]),
    [
      ["Ada", "admin", null],
      ["小明", "member", 500],
    ],
  );
  assert.ok(!JSON.stringify(accounts).includes("scrypt"), "password hashes stay inside");
  await admin.refused("PATCH", `/accounts/${accounts[0].id}`, { role: "member" }, 409, "last_admin");
  await admin.refused("DELETE", `/accounts/${accounts[0].id}`, undefined, 409, "last_admin");
  await admin.send("PATCH", `/accounts/${accounts[1].id}`, { disabled: true });
  await member.refused("GET", "/conversations", undefined, 401, "login_needed");
});

test("a forgotten password is set anew by a link from the administrator, once, and old sessions end", async () => {
  const { browser, admin } = await withAdmin();
  const { token: invitation } = await admin.send("POST", "/invitations", {});
  const member = browser();
  const { account } = await member.send("POST", "/join", {
    token: invitation,
    name: "Mo",
    password: "a good password",
  });
  await member.refused("POST", `/accounts/${account.id}/reset`, {}, 403, "admin_needed");
  const { token: first } = await admin.send("POST", `/accounts/${account.id}/reset`, {});
  const { token } = await admin.send("POST", `/accounts/${account.id}/reset`, {});
  const later = browser();
  await later.refused("POST", "/reset", { token: first, password: "another password" }, 403, "invitation_void");
  await later.refused("POST", "/reset", { token, password: "short" }, 400, "weak_password");
  assert.equal((await later.send("POST", "/reset", { token, password: "another password" })).account.name, "Mo");
  await later.refused("POST", "/reset", { token, password: "third password" }, 403, "invitation_void");
  await member.refused("GET", "/sessions", undefined, 401, "login_needed");
  await browser().send("POST", "/login", { name: "Mo", password: "another password" });
});

test("one account sees nothing of another", async () => {
  const { browser, admin } = await withAdmin();
  const { token } = await admin.send("POST", "/invitations", {});
  const member = browser();
  await member.send("POST", "/join", { token, name: "Mo", password: "a good password" });
  const { id } = await admin.send("POST", "/conversations", {});
  const { message, answer } = await ask(admin, id, "secret words");
  await finished(admin, id);
  const { folder } = await admin.send("POST", "/folders", { name: "mine" });
  for (const [method, path, body] of [
    ["GET", `/conversations/${id}`, undefined],
    ["PATCH", `/conversations/${id}`, { title: "x" }],
    ["DELETE", `/conversations/${id}`, undefined],
    ["POST", `/conversations/${id}/messages`, { id: newMessage(), parent: null, content: "x", settings: {} }],
    ["POST", `/conversations/${id}/answers`, { parent: message, settings: {} }],
    ["POST", `/conversations/${id}/answers/${answer}/continue`, { settings: {} }],
    ["POST", `/conversations/${id}/stop`, {}],
    ["GET", `/conversations/${id}/inside/${answer}`, undefined],
    ["GET", `/conversations/${id}/export`, undefined],
    ["GET", `/conversations/${id}/log`, undefined],
    ["GET", `/events?conversation=${id}`, undefined],
    ["PATCH", `/folders/${folder.id}`, { name: "x" }],
    ["DELETE", `/folders/${folder.id}`, undefined],
  ] as const)
    await member.refused(method, path, body, 404, "not_found");
  assert.deepEqual((await member.send("GET", "/search?q=secret")).hits, []);
  assert.deepEqual((await member.send("GET", "/conversations")).conversations, []);
});

test("a conversation is a tree: answer, edit, regenerate, switch, continue, remove", async () => {
  const { browser, engine } = start();
  const page = browser();
  const { id } = await page.send("POST", "/conversations", {});
  const first = await ask(page, id, "hello");
  let loaded = await finished(page, id);
  const answer = find(loaded, first.answer);
  assert.equal(answer.status, "done");
  assert.match(answer.content, /You said: \*\*hello\*\*/);
  assert.match(answer.reasoning!, /short/);
  assert.ok(answer.timing!.reasoningMs! >= 0);
  assert.equal(loaded.conversation.title, "hello");

  const edited = await ask(page, id, "hello again", null);
  loaded = await finished(page, id);
  assert.equal(find(loaded, edited.message).parent, find(loaded, first.message).parent);
  const { answer: second } = await page.send("POST", `/conversations/${id}/answers`, {
    parent: edited.message,
    settings: {},
  });
  loaded = await finished(page, id);
  assert.equal(loaded.conversation.head, second);
  await page.send("PUT", `/conversations/${id}/head`, { id: first.answer });
  assert.equal((await finished(page, id)).conversation.head, first.answer);

  const deeper = await ask(page, id, "and more", first.answer);
  await finished(page, id);
  assert.deepEqual(
    engine.requests.at(-1)!.conversation.messages.map(({ role, content }) => [role, content.slice(0, 10)]),
    [
      ["user", "hello"],
      ["assistant", "You said: "],
      ["user", "and more"],
    ],
  );
  const short = await ask(page, id, "cut me short", deeper.answer, { maxTokens: 14 });
  loaded = await finished(page, id);
  assert.equal(find(loaded, short.answer).status, "length");
  await page.send("POST", `/conversations/${id}/answers/${short.answer}/continue`, { settings: {} });
  loaded = await finished(page, id);
  assert.equal(find(loaded, short.answer).status, "done");
  assert.equal(find(loaded, short.answer).content, "You said: **cut me short**\n\nThat is all.");
  assert.equal(engine.requests.at(-1)!.conversation.messages.at(-1)!.prefix, true);

  await page.send("DELETE", `/conversations/${id}/messages/${first.message}`);
  loaded = await finished(page, id);
  assert.deepEqual(
    loaded.conversation.messages.map((one: Json) => one.id).sort(),
    [edited.message, edited.answer, second].sort(),
  );
  assert.equal(loaded.conversation.head, second);
  const { events } = await page.send("GET", `/conversations/${id}/log`);
  assert.deepEqual(
    events.map((one: Json) => one.seq),
    events.map((_: Json, n: number) => n + 1),
    "nothing is rewritten",
  );
});

test("the same question sent twice is stored once; a second answer at the same time is refused", async () => {
  const { browser, engine } = start();
  engine.script = () => ({ content: "slow ".repeat(200), delay: 5 });
  const page = browser();
  const { id } = await page.send("POST", "/conversations", {});
  const body = { id: newMessage(), parent: null, content: "once", settings: {} };
  await page.send("POST", `/conversations/${id}/messages`, body);
  await page.send("POST", `/conversations/${id}/messages`, body, [200]);
  await page.refused("POST", `/conversations/${id}/messages`, { ...body, id: newMessage() }, 409, "answer_running");
  await page.send("POST", `/conversations/${id}/stop`, {});
  assert.equal((await finished(page, id)).conversation.messages.length, 2);
});

test("stop reaches the engine and keeps what was written", async () => {
  const { browser, engine } = start();
  engine.script = () => ({ content: "word ".repeat(5000), delay: 2 });
  const page = browser();
  const { id } = await page.send("POST", "/conversations", {});
  const { answer } = await ask(page, id, "go on for ever");
  await sleep(120);
  await page.send("POST", `/conversations/${id}/stop`, {});
  const message = find(await finished(page, id), answer);
  assert.equal(engine.aborted, 1);
  assert.equal(message.status, "stopped");
  assert.match(message.content, /^word word/);
  assert.ok(message.content.length < 20_000);
});

test("answer now ends the thinking and answers with what was thought", async () => {
  const { browser, engine } = start();
  engine.script = () => ({ reasoning: "hmm ".repeat(5000), content: "Forty-two.", delay: 2 });
  const page = browser();
  const { id } = await page.send("POST", "/conversations", {});
  const { answer } = await ask(page, id, "think");
  await sleep(120);
  await page.send("POST", `/conversations/${id}/answer-now`, {});
  const message = find(await finished(page, id), answer);
  assert.equal(message.status, "done");
  assert.equal(message.content, "Forty-two.");
  const resumed = engine.requests[1].conversation.messages.at(-1)!;
  assert.equal(resumed.prefix, true);
  assert.equal(resumed.reasoningContent, message.reasoning);
  assert.equal(message.usage!.reasoningTokens, tokensIn(message.reasoning!));
});

const tokensIn = (text: string): number => text.trim().split(/\s+/).length;

/** Reads server-sent events until `enough` says so. */
async function listen(response: Response, enough: (events: Json[]) => boolean): Promise<Json[]> {
  assert.equal(response.status, 200);
  const events: Json[] = [];
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return events;
    text += value;
    for (let end = text.indexOf("\n\n"); end >= 0; end = text.indexOf("\n\n")) {
      const field = (name: string) => new RegExp(`^${name}: ?(.*)$`, "m").exec(text.slice(0, end))?.[1] ?? "";
      const data = field("data");
      events.push({ event: field("event"), id: field("id"), data: data === "" ? null : JSON.parse(data) });
      text = text.slice(end + 2);
    }
    if (enough(events)) {
      await reader.cancel();
      return events;
    }
  }
}

const textOf = (events: Json[]): string =>
  events
    .filter(({ event }) => event === "frame")
    .map(({ data }) => data.content ?? "")
    .join("");

test("a page that comes back resumes from its last frame; a second page sees the same", async () => {
  const { browser, engine } = start();
  engine.script = () => ({ content: Array.from({ length: 300 }, (_, n) => `w${n}`).join(" "), delay: 2 });
  const page = browser();
  const { id } = await page.send("POST", "/conversations", {});
  const { cursor } = await page.send("GET", `/conversations/${id}`);
  const opened = page.raw("GET", `/events?conversation=${id}&after=${cursor}`);
  const { answer } = await ask(page, id, "count");
  const before = await listen(await opened, (events) => events.filter(({ event }) => event === "frame").length >= 3);
  const last = before.at(-1)!.id;
  await sleep(60);
  const resumed = page.raw("GET", `/events?conversation=${id}`, undefined, { "last-event-id": last });
  const late = await page.send("GET", `/conversations/${id}`);
  const second = page.raw("GET", `/events?conversation=${id}&after=${late.cursor}`);
  const done = (events: Json[]) => events.some(({ data }) => data?.event?.kind === "answer-finished");
  const [after, other] = await Promise.all([listen(await resumed, done), listen(await second, done)]);
  const whole = find(await finished(page, id), answer).content;
  assert.equal(textOf(before) + textOf(after), whole);
  assert.equal(find(late, answer).content + textOf(other), whole);

  const stale = await page.raw("GET", `/events?conversation=${id}`, undefined, { "last-event-id": last });
  const [first] = (await listen(stale, (events) => events.length > 0)).filter(({ event }) => event !== "ping");
  assert.equal(first.event, "reset", "an answer that ended meanwhile is read anew");
});

test("what a crash left is marked as interrupted and keeps its text", async () => {
  const { browser, engine } = start();
  engine.script = () => ({ content: "word ".repeat(3000), delay: 4 });
  const page = browser();
  const { id } = await page.send("POST", "/conversations", {});
  const { answer } = await ask(page, id, "never ends");
  await sleep(1300);
  const again = new Hono();
  mountApp(again, { ...engine.deps });
  const message = find(await finished(new Browser(again), id), answer);
  assert.equal(message.status, "interrupted");
  assert.match(message.content, /^word word/);
  await page.send("POST", `/conversations/${id}/stop`, {});
});

test("a used-up quota refuses before anything is stored, and caps a running answer", async () => {
  const { browser, admin } = await withAdmin();
  const { token } = await admin.send("POST", "/invitations", { quota: 12 });
  const member = browser();
  await member.send("POST", "/join", { token, name: "Mo", password: "a good password" });
  const { id } = await member.send("POST", "/conversations", {});
  const { answer } = await ask(member, id, "a question of some length");
  const loaded = await finished(member, id);
  assert.equal(find(loaded, answer).usage!.completionTokens, 12);
  const body = { id: newMessage(), parent: answer, content: "more", settings: {} };
  await member.refused("POST", `/conversations/${id}/messages`, body, 429, "quota_used_up");
  assert.equal((await finished(member, id)).conversation.messages.length, 2);
  const usage = await member.send("GET", "/usage");
  assert.ok(usage.today >= 12);
  assert.equal(usage.days[0].answers, 1);
});

test("folder instructions come before the conversation's own system prompt; attachments are DeepSeek's file blocks", async () => {
  const { browser, engine } = start();
  const page = browser();
  const { folder } = await page.send("POST", "/folders", { name: "Work", instructions: "Be brief." });
  const { id } = await page.send("POST", "/conversations", { folder: folder.id });
  await page.send("POST", `/conversations/${id}/messages`, {
    id: newMessage(),
    parent: null,
    content: "Summarise.",
    attachments: [{ name: "a.txt", type: "text/plain", text: "alpha" }],
    settings: { system: "Answer in Latin." },
  });
  await finished(page, id);
  const [system, user] = engine.requests[0].conversation.messages;
  assert.equal(system.content, "Be brief.\n\nAnswer in Latin.");
  assert.equal(user.content, "[file name]: a.txt\n[file content begin]\nalpha\n[file content end]\nSummarise.");
  await page.send("DELETE", `/folders/${folder.id}`);
  assert.equal((await page.send("GET", "/conversations")).conversations[0].folder, null);
});

test("search finds Chinese pairs, beginnings of words and attachments' names, and forgets what is removed", async () => {
  const { browser } = start();
  const page = browser();
  const { id } = await page.send("POST", "/conversations", {});
  await ask(page, id, "深度求索的都江堰 irrigation");
  await finished(page, id);
  for (const query of ["都江堰", "求索", "irrig", "江堰 irri"]) {
    const { hits } = await page.send("GET", `/search?q=${encodeURIComponent(query)}`);
    assert.ok(hits.length >= 1, query);
    assert.ok(hits[0].hits.length >= 1, query);
  }
  for (const query of ["堰江", "nothing", '"', "* OR 1=1", ""])
    assert.deepEqual((await page.send("GET", `/search?q=${encodeURIComponent(query)}`)).hits, [], query);
  await page.send("DELETE", `/conversations/${id}`);
  assert.deepEqual((await page.send("GET", "/search?q=irrigation")).hits, []);
});

test("an export comes back as it was, branches and all", async () => {
  const { browser } = start();
  const page = browser();
  const { folder } = await page.send("POST", "/folders", { name: "数学" });
  const { id } = await page.send("POST", "/conversations", { folder: folder.id });
  const first = await ask(page, id, "one");
  await finished(page, id);
  await ask(page, id, "one, edited");
  await finished(page, id);
  await page.send("PUT", `/conversations/${id}/head`, { id: first.answer });
  await page.send("PATCH", `/conversations/${id}`, { title: "标题", pinned: true, settings: { system: "s" } });
  const exported = await (await page.raw("GET", `/conversations/${id}/export`)).text();
  const { imported, format } = await page.send("POST", "/import", exported);
  assert.equal(format, "weir");
  const again = await (await page.raw("GET", `/conversations/${imported[0]}/export`)).text();
  assert.deepEqual(JSON.parse(again), JSON.parse(exported));
  const markdown = await (await page.raw("GET", `/conversations/${id}/export?format=markdown`)).text();
  assert.match(markdown, /^# 标题\n\n## User\n\none\n\n## tutor\n\n> The question/);
});

test("DeepSeek's and OpenAI's exports are read with their branches", async () => {
  const { browser } = start();
  const page = browser();
  const deepseek = [
    {
      id: "x",
      title: "质数",
      inserted_at: "2025-03-01T10:00:00.000+08:00",
      mapping: {
        root: { id: "root", parent: null, children: ["1"], message: null },
        1: {
          parent: "root",
          message: {
            model: "deepseek-reasoner",
            inserted_at: "2025-03-01T10:00:01+08:00",
            fragments: [{ type: "REQUEST", content: "什么是质数?" }],
          },
        },
        2: {
          parent: "1",
          message: {
            model: "deepseek-reasoner",
            fragments: [
              { type: "THINK", content: "想一想" },
              { type: "RESPONSE", content: "只能被 1 和自身整除。" },
            ],
          },
        },
        3: {
          parent: "1",
          message: { model: "deepseek-reasoner", fragments: [{ type: "RESPONSE", content: "另一个回答" }] },
        },
      },
    },
  ];
  const read = await page.send("POST", "/import", deepseek);
  assert.equal(read.format, "deepseek");
  let loaded = await page.send("GET", `/conversations/${read.imported[0]}`);
  assert.equal(loaded.conversation.messages.length, 3);
  assert.equal(loaded.conversation.messages[1].reasoning, "想一想");
  assert.equal(loaded.conversation.createdAt, Date.parse("2025-03-01T02:00:00Z"));

  const openai = [
    {
      title: "Rivers",
      create_time: 1700000000.5,
      current_node: "d",
      mapping: {
        a: { parent: null, message: null },
        s: { parent: "a", message: { author: { role: "system" }, content: { content_type: "text", parts: [""] } } },
        b: {
          parent: "s",
          message: {
            author: { role: "user" },
            content: { content_type: "text", parts: ["Name a river"] },
            create_time: 1700000001,
          },
        },
        c: {
          parent: "b",
          message: {
            author: { role: "assistant" },
            content: { content_type: "text", parts: ["Min"] },
            metadata: { model_slug: "gpt-x" },
          },
        },
        d: {
          parent: "b",
          message: { author: { role: "assistant" }, content: { content_type: "text", parts: ["Yangtze"] } },
        },
      },
    },
    { title: "empty", mapping: {} },
  ];
  const other = await page.send("POST", "/import", openai);
  assert.deepEqual([other.format, other.imported.length, other.skipped], ["openai", 1, 1]);
  loaded = await page.send("GET", `/conversations/${other.imported[0]}`);
  const { messages, head } = loaded.conversation;
  assert.deepEqual(
    messages.map((one: Json) => one.content),
    ["Name a river", "Min", "Yangtze"],
  );
  assert.equal(messages.find((one: Json) => one.id === head).content, "Yangtze");
  assert.equal(messages[1].model, "gpt-x");
});

test("damaged and hostile imports are refused with a sentence", async () => {
  const { browser } = start();
  const page = browser();
  await page.refused("POST", "/import", "{", 422, "import_not_json");
  await page.refused("POST", "/import", "[]", 422, "import_unknown");
  await page.refused(
    "POST",
    "/import",
    { format: "weir-conversations", conversations: [{ title: 3 }] },
    422,
    "import_broken",
  );
  const loop = {
    format: "weir-conversations",
    conversations: [
      {
        title: "t",
        createdAt: 1,
        head: "a",
        messages: [
          { id: "a", parent: "b", role: "user", content: "x", at: 1 },
          { id: "b", parent: "a", role: "user", content: "x", at: 1 },
        ],
      },
    ],
  };
  const { imported } = await page.send("POST", "/import", loop);
  assert.deepEqual((await page.send("GET", `/conversations/${imported[0]}`)).conversation.messages, []);
  const cyclic = [
    {
      title: "t",
      mapping: { a: { parent: "b", message: null }, b: { parent: "a", message: null }, __proto__: { parent: "a" } },
    },
  ];
  assert.equal((await page.send("POST", "/import", cyclic)).skipped, 1);
});

test("bad input is refused with the field's name, and the server lives", async () => {
  const { browser, engine } = start();
  const page = browser();
  const { id } = await page.send("POST", "/conversations", {});
  const good = { id: newMessage(), parent: null, content: "x", settings: {} };
  for (const [change, status, code] of [
    [{ id: "../../x" }, 400, "bad_field"],
    [{ content: 5 }, 400, "bad_field"],
    [{ content: "   " }, 400, "empty"],
    [{ content: "x".repeat(200_001) }, 400, "bad_field"],
    [{ parent: "not-there-at-all" }, 404, "not_found"],
    [{ settings: { temperature: 9 } }, 400, "bad_field"],
    [{ settings: { model: "gone" } }, 404, "model_missing"],
    [
      { attachments: Array.from({ length: 5 }, () => ({ name: "a", type: "", text: "y".repeat(900_000) })) },
      413,
      "too_large",
    ],
  ] as const)
    await page.refused("POST", `/conversations/${id}/messages`, { ...good, ...change }, status, code);
  await page.refused("POST", "/folders", "{not json", 400, "not_json");
  await page.refused("POST", "/folders", { name: "x", instructions: "y".repeat(60_000) }, 400, "bad_field");
  engine.script = () => ({ content: "", fail: { code: "context_length_exceeded", message: "too long" } });
  const { answer } = await ask(page, id, "fails");
  const failed = find(await finished(page, id), answer);
  assert.deepEqual([failed.status, failed.error], ["failed", "context_length_exceeded"]);
});

test("the tutor's skills, exercises and marks come through", async () => {
  const { browser } = start();
  const page = browser();
  const { skills } = await page.send("GET", "/tutor/skills");
  const { exercise } = await page.send("POST", "/tutor/exercise", {
    skill: skills[0].id,
    difficulty: 2,
    language: "en",
    seed: 1,
  });
  assert.match(exercise.question, /\d/);
  const { marks } = await page.send("POST", "/tutor/mark", {
    question: "x",
    working: "1 + 1 = 2\n2 + 2 = 5",
    language: "en",
  });
  assert.deepEqual(
    marks.steps.map((step: Json) => step.right),
    [true, false],
  );
  await page.refused("POST", "/tutor/exercise", { skill: "none", difficulty: 2, language: "en" }, 404, "no_skill");
});

test("the page is served with a policy without unsafe-inline, and never a file outside its folder", async () => {
  const { app } = start({ webRoot: new URL(".", import.meta.url).pathname });
  for (const path of ["/app/..%2f..%2findex.ts", "/app/%2e%2e/config.ts", "/app/assets/none.js", "/app/.%00"])
    assert.notEqual((await app.request(path)).status, 200, path);
  const missing = await app.request("/app/");
  assert.equal(missing.status, 503);
  assert.match(await missing.text(), /npm run build:web/);
  const { pagePolicy } = await import("./page.ts");
  assert.ok(!pagePolicy.includes("unsafe"));
});
