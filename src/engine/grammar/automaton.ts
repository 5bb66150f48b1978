// Runs an expression: a pushdown automaton over bytes and control tokens whose sets of stacks are made into states as they are met
// and kept. Every stack can be completed, because what leads nowhere is cut off when it is built.
import { type Expr, type Rule, refuse } from "./expr.ts";

type Edge =
  | { t: "empty"; to: number }
  | { t: "bytes"; set: Uint8Array; to: number }
  | { t: "token"; id: number; to: number }
  | { t: "call"; rule: number; to: number };

const MOST_NODES = 400_000;
/** States kept before all are forgotten and made again as needed. */
const MOST_STATES = 4096;
/** Readings of an ambiguous text that are followed; others are dropped, which only narrows the answers. */
const MOST_STACKS = 4096;

/** A node of the graph and where its rule returns to. `id` names equal stacks. */
interface Stack {
  id: number;
  node: number;
  parent: Stack | undefined;
}

/** Everything that may follow one beginning of the answer. */
export class State {
  readonly stacks: readonly Stack[];
  /** Whether the answer may end here. */
  readonly accepts: boolean;
  readonly next: (State | null | undefined)[] = new Array(256);
  /** Allowed tokens as bits, filled in by vocabulary.ts. */
  mask: Int32Array | undefined;
  /** The only allowed token, −1 where there is a choice; filled in by vocabulary.ts as the next is. */
  only: number | undefined;
  /** Tokens of the text that must follow. */
  demanded: readonly number[] | undefined;

  constructor(stacks: readonly Stack[], accepts: boolean) {
    this.stacks = stacks;
    this.accepts = accepts;
  }

  /** Whether nothing can follow. */
  get ends(): boolean {
    return this.stacks.length === 0;
  }
}

export class Automaton {
  start: State;
  private readonly edges: Edge[][] = [];
  private readonly rules: { start: number; end: number; name: string }[] = [];
  private readonly isEnd: boolean[] = [];
  private readonly ruleIds = new Map<Rule, number>();
  private readonly root: number;
  private states = new Map<string, State>();
  private stacks = new Map<string, Stack>();
  private ids = 0;

  /** `alphabet`: the bytes that can be written one by one. Throws EngineError where nothing matches. */
  constructor(expr: Expr, alphabet: Uint8Array, field = "grammar") {
    const queue: { id: number; rule: Rule }[] = [];
    const idOf = (rule: Rule): number => {
      let id = this.ruleIds.get(rule);
      if (id === undefined) {
        id = this.rules.length;
        this.ruleIds.set(rule, id);
        this.rules.push({ start: this.node(), end: this.node(), name: rule.name });
        queue.push({ id, rule });
      }
      return id;
    };
    this.root = idOf({ name: "root", body: expr });
    for (let entry = queue.pop(); entry; entry = queue.pop()) {
      if (!entry.rule.body) refuse(`the rule ${entry.rule.name} is not defined`, field);
      const { start, end } = this.rules[entry.id];
      this.isEnd[end] = true;
      this.build(entry.rule.body, start, end, alphabet, idOf);
    }
    this.prune(field);
    this.refuseLeftRecursion(field);
    this.start = this.begin();
  }

  private node(): number {
    if (this.edges.length >= MOST_NODES) refuse(`it is too large (more than ${MOST_NODES} places); simplify it`);
    this.isEnd.push(false);
    return this.edges.push([]) - 1;
  }

  private build(expr: Expr, from: number, to: number, alphabet: Uint8Array, idOf: (rule: Rule) => number): void {
    switch (expr.t) {
      case "bytes": {
        const set = expr.set.map((flag, byte) => flag & alphabet[byte]);
        if (set.includes(1)) this.edges[from].push({ t: "bytes", set, to });
        return;
      }
      case "token":
        this.edges[from].push({ t: "token", id: expr.id, to });
        return;
      case "rule":
        this.edges[from].push({ t: "call", rule: idOf(expr.rule), to });
        return;
      case "alt":
        for (const item of expr.items) this.build(item, from, to, alphabet, idOf);
        return;
      case "seq": {
        let at = from;
        expr.items.forEach((item, i) => {
          const next = i === expr.items.length - 1 ? to : this.node();
          this.build(item, at, next, alphabet, idOf);
          at = next;
        });
        if (expr.items.length === 0) this.edges[from].push({ t: "empty", to });
        return;
      }
      case "repeat": {
        let at = this.node();
        this.edges[from].push({ t: "empty", to: at });
        for (let i = 0; i < expr.min; i++) {
          const next = this.node();
          this.build(expr.item, at, next, alphabet, idOf);
          at = next;
        }
        if (expr.max === Number.POSITIVE_INFINITY) this.build(expr.item, at, at, alphabet, idOf);
        for (let i = expr.min; i < expr.max && expr.max !== Number.POSITIVE_INFINITY; i++) {
          const next = this.node();
          this.edges[at].push({ t: "empty", to });
          this.build(expr.item, at, next, alphabet, idOf);
          at = next;
        }
        this.edges[at].push({ t: "empty", to });
      }
    }
  }

  /** Cuts edges from which the end of their rule cannot be reached. */
  private prune(field: string): void {
    const live = this.isEnd.slice();
    const useful = (edge: Edge): boolean => live[edge.to] && (edge.t !== "call" || live[this.rules[edge.rule].start]);
    for (let changed = true; changed; ) {
      changed = false;
      for (let node = this.edges.length - 1; node >= 0; node--) {
        if (!live[node] && this.edges[node].some(useful)) changed = live[node] = true;
      }
      // The other way round as well: chains run in either order.
      for (let node = 0; node < this.edges.length && changed; node++) {
        if (!live[node] && this.edges[node].some(useful)) live[node] = true;
      }
    }
    if (!live[this.rules[this.root].start])
      refuse("no finite text satisfies it; look for contradictions and endless required recursion", field);
    for (let node = 0; node < this.edges.length; node++) this.edges[node] = this.edges[node].filter(useful);
  }

  /** A rule that begins with itself would grow stacks for ever. */
  private refuseLeftRecursion(field: string): void {
    const nullable = this.isEnd.slice();
    const skips = (edge: Edge): boolean =>
      edge.t === "empty" || (edge.t === "call" && nullable[this.rules[edge.rule].start]);
    for (let changed = true; changed; ) {
      changed = false;
      for (let node = this.edges.length - 1; node >= 0; node--) {
        if (!nullable[node] && this.edges[node].some((edge) => skips(edge) && nullable[edge.to]))
          changed = nullable[node] = true;
      }
    }
    const leftCalls = this.rules.map(({ start }) => {
      const calls = new Set<number>();
      const seen = new Set([start]);
      for (const node of seen) {
        for (const edge of this.edges[node]) {
          if (edge.t === "call") calls.add(edge.rule);
          if (skips(edge)) seen.add(edge.to);
        }
      }
      return calls;
    });
    // Kahn's order: what is left over lies on or behind a cycle.
    const callers = this.rules.map(() => 0);
    for (const calls of leftCalls) for (const callee of calls) callers[callee]++;
    const free = callers.flatMap((count, id) => (count === 0 ? [id] : []));
    for (const id of free) for (const callee of leftCalls[id]) if (--callers[callee] === 0) free.push(callee);
    if (free.length < this.rules.length) {
      const { name } = this.rules[callers.findIndex((count) => count > 0)];
      refuse(`the rule ${name} begins with itself; write the recursion on the right`, field);
    }
  }

  private stack(node: number, parent: Stack | undefined): Stack {
    const key = `${node},${parent?.id ?? ""}`;
    let found = this.stacks.get(key);
    if (!found) this.stacks.set(key, (found = { id: this.ids++, node, parent }));
    return found;
  }

  private begin(): State {
    return this.close([this.stack(this.rules[this.root].start, undefined)])!;
  }

  /** The state of these stacks and all they lead to without reading anything; null: there are none. */
  private close(from: Stack[]): State | null {
    const seen = new Set(from);
    const kept: Stack[] = [];
    let accepts = false;
    for (const stack of seen) {
      if (seen.size > 4 * MOST_STACKS && kept.length >= MOST_STACKS) break;
      const { node, parent } = stack;
      if (this.isEnd[node]) {
        if (parent) seen.add(parent);
        else accepts = true;
      }
      let reads = false;
      for (const edge of this.edges[node]) {
        if (edge.t === "empty") seen.add(this.stack(edge.to, parent));
        else if (edge.t === "call") {
          // A call at the very end of a rule returns to that rule's caller at once.
          const last = this.isEnd[edge.to] && this.edges[edge.to].length === 0;
          const back = last ? parent : this.stack(edge.to, parent);
          seen.add(this.stack(this.rules[edge.rule].start, back));
        } else reads = true;
      }
      if (reads) kept.push(stack);
    }
    if (kept.length === 0 && !accepts) return null;
    kept.sort((a, b) => a.id - b.id);
    const key = `${accepts ? "!" : ""}${kept.map(({ id }) => id).join()}`;
    let state = this.states.get(key);
    if (!state) {
      if (this.states.size >= MOST_STATES) this.forget();
      this.states.set(key, (state = new State(kept, accepts)));
    }
    return state;
  }

  /** Drops all kept states. Those in use stay good: their stacks are their own. */
  private forget(): void {
    this.states = new Map();
    this.stacks = new Map();
    this.start = this.begin();
  }

  /** The state after one more byte; null: the byte is not allowed. */
  step(state: State, byte: number): State | null {
    const known = state.next[byte];
    if (known !== undefined) return known;
    const moved: Stack[] = [];
    for (const { node, parent } of state.stacks) {
      for (const edge of this.edges[node])
        if (edge.t === "bytes" && edge.set[byte]) moved.push(this.stack(edge.to, parent));
    }
    const next = moved.length === 0 ? null : this.close(moved);
    state.next[byte] = next;
    return next;
  }

  /** The byte that must come next, undefined where there is a choice (ending included). */
  onlyByte(state: State): number | undefined {
    if (state.accepts) return undefined;
    let only: number | undefined;
    for (const { node } of state.stacks) {
      for (const edge of this.edges[node]) {
        if (edge.t === "token") return undefined;
        if (edge.t !== "bytes") continue;
        const first = edge.set.indexOf(1);
        if (first < 0 || (only !== undefined && only !== first) || edge.set.indexOf(1, first + 1) >= 0)
          return undefined;
        only = first;
      }
    }
    return only;
  }

  /** The control tokens that may come next. */
  tokens(state: State): number[] {
    return state.stacks.flatMap(({ node }) =>
      this.edges[node].flatMap((edge) => (edge.t === "token" ? [edge.id] : [])),
    );
  }

  /** The state after a control token. */
  stepToken(state: State, id: number): State | null {
    const moved: Stack[] = [];
    for (const { node, parent } of state.stacks) {
      for (const edge of this.edges[node])
        if (edge.t === "token" && edge.id === id) moved.push(this.stack(edge.to, parent));
    }
    return moved.length === 0 ? null : this.close(moved);
  }
}
