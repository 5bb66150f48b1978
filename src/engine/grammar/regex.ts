// Regular expressions, the common part of ECMAScript's: classes, groups, alternation, counted repetition, anchors at the borders.
import {
  alt,
  complement,
  EMPTY,
  type Expr,
  LAST_POINT,
  normalRanges,
  type Range,
  refuse,
  repeat,
  seq,
} from "./expr.ts";

/** How a class of characters is written: as UTF-8, or inside a JSON string. */
export type Encoding = (ranges: readonly Range[]) => Expr;

/** An expression with the least and most characters it matches. */
interface Sized {
  expr: Expr;
  min: number;
  max: number;
}

const DIGIT: Range[] = [[48, 57]];
const WORD: Range[] = [
  [48, 57],
  [65, 90],
  [95, 95],
  [97, 122],
];
// biome-ignore format: one line of code points
const SPACE: Range[] = [[9, 13], [32, 32], [0xa0, 0xa0], [0x1680, 0x1680], [0x2000, 0x200a], [0x2028, 0x2029], [0x202f, 0x202f], [0x205f, 0x205f], [0x3000, 0x3000], [0xfeff, 0xfeff]];
const NEWLINE: Range[] = [
  [10, 10],
  [13, 13],
  [0x2028, 0x2029],
];
const CONTROLS: Record<string, number> = { n: 10, r: 13, t: 9, f: 12, v: 11, "0": 0 };
const DEEPEST = 100;

/** `search`: the pattern may match anywhere in the text, as JSON Schema has it; else it is the whole text. */
export function regex(pattern: string, encoding: Encoding, search: boolean, field: string): Sized {
  return new RegexParser(pattern, encoding, search, field).parse();
}

class RegexParser {
  private readonly points: string[];
  private at = 0;
  private depth = 0;
  private readonly encoding: Encoding;
  private readonly search: boolean;
  private readonly field: string;

  constructor(pattern: string, encoding: Encoding, search: boolean, field: string) {
    this.points = Array.from(pattern);
    this.encoding = encoding;
    this.search = search;
    this.field = field;
  }

  parse(): Sized {
    const branches: Sized[] = [];
    const rest = (): Sized => ({
      expr: repeat(this.encoding([[0, LAST_POINT]]), 0),
      min: 0,
      max: Number.POSITIVE_INFINITY,
    });
    do {
      const parts: Sized[] = [];
      if (!this.eat("^") && this.search) parts.push(rest());
      parts.push(this.sequence());
      if (!this.eat("$") && this.search) parts.push(rest());
      branches.push(join(parts));
    } while (this.eat("|"));
    if (this.at < this.points.length) this.fail(`'${this.points[this.at]}' at ${this.at} is not understood there`);
    return choose(branches);
  }

  private fail(message: string): never {
    refuse(`in the pattern ${JSON.stringify(this.points.join(""))}: ${message}`, this.field);
  }

  private eat(text: string): boolean {
    if (this.points.slice(this.at, this.at + text.length).join("") !== text) return false;
    this.at += text.length;
    return true;
  }

  private sequence(): Sized {
    const parts: Sized[] = [];
    while (this.at < this.points.length && !"|)$".includes(this.points[this.at])) parts.push(this.quantified());
    return join(parts);
  }

  private quantified(): Sized {
    const item = this.atom();
    let bounds: [number, number] | undefined;
    if (this.eat("*")) bounds = [0, Number.POSITIVE_INFINITY];
    else if (this.eat("+")) bounds = [1, Number.POSITIVE_INFINITY];
    else if (this.eat("?")) bounds = [0, 1];
    else if (this.points[this.at] === "{") {
      const found = /^\{(\d+)(,?)(\d*)\}/.exec(this.points.slice(this.at, this.at + 24).join(""));
      if (!found) this.fail(`'{' at ${this.at} begins no repetition; write \\{ for the character`);
      this.at += found[0].length;
      const min = Number(found[1]);
      bounds = [min, found[2] === "" ? min : found[3] === "" ? Number.POSITIVE_INFINITY : Number(found[3])];
      if (bounds[1] < min) this.fail(`${found[0]} has its bounds in the wrong order`);
      if (min > 10_000 || (Number.isFinite(bounds[1]) && bounds[1] > 10_000))
        this.fail(`${found[0]} repeats more than 10000 times`);
    }
    if (!bounds) return item;
    // Lazy or not makes no difference to which texts match.
    this.eat("?");
    const [min, max] = bounds;
    return {
      expr: repeat(item.expr, min, max),
      min: item.min * min,
      max: item.max === 0 || max === 0 ? 0 : item.max * max,
    };
  }

  private atom(): Sized {
    const character = this.points[this.at++];
    if (character === "(") {
      if (this.eat("?")) {
        if (!this.eat(":")) {
          const name = /^<[A-Za-z_]\w*>/.exec(this.points.slice(this.at, this.at + 64).join(""));
          if (!name) this.fail(`the group at ${this.at - 2} looks around or sets flags, which is not supported`);
          this.at += name[0].length;
        }
      }
      if (++this.depth > DEEPEST) this.fail("groups are nested too deeply");
      const branches = [this.sequence()];
      while (this.eat("|")) branches.push(this.sequence());
      this.depth--;
      if (!this.eat(")")) this.fail(`a ')' is missing, or an anchor stands inside a group, at ${this.at}`);
      return choose(branches);
    }
    if (character === "[") return this.one(this.characterClass());
    if (character === ".") return this.one(complement(NEWLINE));
    if (character === "\\") return this.one(this.escape(false));
    if ("*+?{^".includes(character)) this.fail(`'${character}' at ${this.at - 1} has nothing before it`);
    return this.one([[character.codePointAt(0)!, character.codePointAt(0)!]]);
  }

  private one(ranges: Range[]): Sized {
    return { expr: this.encoding(normalRanges(ranges)), min: 1, max: 1 };
  }

  private escape(inClass: boolean): Range[] {
    const character = this.points[this.at++];
    if (character === undefined) this.fail("it ends in a backslash");
    const lower = character.toLowerCase();
    if ("dws".includes(lower)) {
      const ranges = lower === "d" ? DIGIT : lower === "w" ? WORD : SPACE;
      return character === lower ? ranges : complement(ranges);
    }
    if (character in CONTROLS) return [[CONTROLS[character], CONTROLS[character]]];
    if (inClass && character === "b") return [[8, 8]];
    if (character === "x" || character === "u") {
      const text = this.points.slice(this.at, this.at + 10).join("");
      const found = (character === "x" ? /^([0-9a-fA-F]{2})/ : /^(?:\{([0-9a-fA-F]{1,6})\}|([0-9a-fA-F]{4}))/).exec(
        text,
      );
      if (!found) this.fail(`\\${character} at ${this.at - 2} lacks its hexadecimal digits`);
      this.at += found[0].length;
      const point = Number.parseInt(found[1] ?? found[2], 16);
      if (point > LAST_POINT) this.fail(`${found[0]} is no character`);
      return [[point, point]];
    }
    if (/[A-Za-z0-9]/.test(character)) this.fail(`\\${character} is not supported`);
    return [[character.codePointAt(0)!, character.codePointAt(0)!]];
  }

  private characterClass(): Range[] {
    const negated = this.eat("^");
    const ranges: Range[] = [];
    const member = (): Range[] => {
      const character = this.points[this.at++];
      if (character === undefined) this.fail("a ']' is missing");
      if (character === "\\") return this.escape(true);
      return [[character.codePointAt(0)!, character.codePointAt(0)!]];
    };
    while (!this.eat("]")) {
      const from = member();
      const dash = this.points[this.at] === "-" && this.points[this.at + 1] !== "]";
      if (!dash) {
        ranges.push(...from);
        continue;
      }
      this.at++;
      const to = member();
      if (from.length !== 1 || to.length !== 1 || to[0][0] < from[0][0]) this.fail("a class has a range without order");
      ranges.push([from[0][0], to[0][1]]);
    }
    return negated ? complement(ranges) : normalRanges(ranges);
  }
}

function join(parts: Sized[]): Sized {
  const sum = (key: "min" | "max"): number => parts.reduce((total, part) => total + part[key], 0);
  return {
    expr: parts.length === 0 ? EMPTY : seq(...parts.map((part) => part.expr)),
    min: sum("min"),
    max: sum("max"),
  };
}

function choose(parts: Sized[]): Sized {
  return {
    expr: alt(...parts.map((part) => part.expr)),
    min: Math.min(...parts.map((part) => part.min)),
    max: Math.max(...parts.map((part) => part.max)),
  };
}
