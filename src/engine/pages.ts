// Pages of the key/value cache: who holds which, and which hold a prefix that another sequence can start from. A page is shared only
// when it is full and its tokens, with all before them, are the same; the tokens themselves are compared, hashes only find them.

interface CachedPage {
  page: number;
  /** The page before it in its sequence; for the first a negative number, one for each set of weights. */
  parent: number;
  tokens: Int32Array;
}

const keyOf = (parent: number, tokens: ArrayLike<number>): string => {
  let hash = 2166136261 ^ parent;
  for (let i = 0; i < tokens.length; i++) hash = Math.imul(hash ^ tokens[i], 16777619);
  return `${parent}:${hash >>> 0}`;
};

export class PagePool {
  readonly pageSize: number;
  readonly pages: number;
  private readonly references: Int32Array;
  private readonly free: number[];
  /** Full pages by content. The parent's page number identifies the whole prefix, because a cached parent is never reused first. */
  private readonly cached = new Map<string, CachedPage[]>();
  private readonly entry = new Map<number, CachedPage>();
  private readonly children: Int32Array;
  /** Cached pages that no sequence holds, least recently used first. */
  private readonly idle = new Set<number>();

  constructor(pages: number, pageSize: number) {
    this.pages = pages;
    this.pageSize = pageSize;
    this.references = new Int32Array(pages);
    this.children = new Int32Array(pages);
    this.free = Array.from({ length: pages }, (_, i) => pages - 1 - i);
  }

  /** Pages that a new sequence could get now. */
  get available(): number {
    return this.free.length + this.idle.size;
  }

  /** Pages that some running sequence holds. */
  get held(): number {
    return this.pages - this.available;
  }

  /** A page of one's own, taken from the free ones or from the least recently used prefix; undefined when all are held. */
  take(): number | undefined {
    let page = this.free.pop();
    if (page === undefined) page = this.evict();
    if (page !== undefined) this.references[page] = 1;
    return page;
  }

  private evict(): number | undefined {
    // Only leaves go: a page whose children are cached is what makes those findable.
    for (const page of this.idle) {
      if (this.children[page] > 0) continue;
      this.forget(page);
      return page;
    }
    return undefined;
  }

  private forget(page: number): void {
    const entry = this.entry.get(page) as CachedPage;
    this.idle.delete(page);
    this.entry.delete(page);
    const key = keyOf(entry.parent, entry.tokens);
    const rest = (this.cached.get(key) as CachedPage[]).filter((other) => other.page !== page);
    if (rest.length > 0) this.cached.set(key, rest);
    else this.cached.delete(key);
    if (entry.parent >= 0) this.children[entry.parent]--;
  }

  private find(parent: number, tokens: ArrayLike<number>): CachedPage | undefined {
    return this.cached
      .get(keyOf(parent, tokens))
      ?.find((entry) => entry.parent === parent && entry.tokens.every((token, i) => token === tokens[i]));
  }

  /**
   * The cached pages that hold the longest prefix of `tokens` in full pages, at most `limit` tokens, among those computed with the
   * weights of `root`; they are held from now on.
   */
  match(tokens: Int32Array, limit: number, root = -1): number[] {
    const pages: number[] = [];
    let parent = root;
    for (let at = 0; at + this.pageSize <= limit; at += this.pageSize) {
      const entry = this.find(parent, tokens.subarray(at, at + this.pageSize));
      if (!entry) break;
      this.hold(entry.page);
      pages.push(entry.page);
      parent = entry.page;
    }
    return pages;
  }

  private hold(page: number): void {
    this.references[page]++;
    this.idle.delete(page);
  }

  /**
   * Makes a page that is now full findable. Where the same content is cached already the held page stays private. Returns the page
   * that stands for this prefix, which is the parent of what follows.
   */
  publish(page: number, parent: number, tokens: Int32Array): number {
    if (this.entry.has(page)) return page;
    const twin = this.find(parent, tokens);
    if (twin) return twin.page;
    if (parent >= 0 && !this.entry.has(parent)) return page;
    const entry = { page, parent, tokens: tokens.slice() };
    this.entry.set(page, entry);
    const key = keyOf(parent, tokens);
    this.cached.set(key, [...(this.cached.get(key) ?? []), entry]);
    if (parent >= 0) this.children[parent]++;
    return page;
  }

  /** Gives pages back, in reverse order so that the deepest are evicted first. */
  release(pages: readonly number[]): void {
    for (let i = pages.length - 1; i >= 0; i--) {
      const page = pages[i];
      if (--this.references[page] > 0) continue;
      if (this.entry.has(page)) this.idle.add(page);
      else this.free.push(page);
    }
  }

  /** Forgets every prefix (weights have changed). Held pages stay with their holders. */
  clear(): void {
    for (const page of this.idle) this.free.push(page);
    this.idle.clear();
    this.cached.clear();
    this.entry.clear();
    this.children.fill(0);
  }
}
