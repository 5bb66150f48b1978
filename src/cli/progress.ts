// A progress bar with rate and remaining time for commands that take a while: redrawn in place on a terminal, a line now and
// then elsewhere. It writes to standard error, so that a command's output stays clean.

export interface ProgressOptions {
  /** What is counted; null where unknown. */
  total: number | null;
  /** "bytes" shows KiB, MiB and so on; any other word is shown as it is ("tensors", "steps"). */
  unit?: string;
  /** Already done before this run began; it counts for the bar, not for the rate. */
  start?: number;
  stream?: { isTTY?: boolean; columns?: number; write(text: string): unknown };
  /** Milliseconds; for tests. */
  now?: () => number;
}

const binary = ["B", "KiB", "MiB", "GiB", "TiB"];

/** 1536 → "1.5 KiB". */
export function formatBytes(bytes: number): string {
  let power = 0;
  while (bytes >= 1024 && power < binary.length - 1) {
    bytes /= 1024;
    power++;
  }
  return `${power === 0 ? bytes : bytes.toFixed(bytes < 10 ? 2 : 1)} ${binary[power]}`;
}

/** 3725 → "1:02:05", 65 → "1:05". */
export function formatSeconds(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const two = (n: number) => String(n).padStart(2, "0");
  const minutes = Math.floor(whole / 60) % 60;
  const hours = Math.floor(whole / 3600);
  return hours > 0 ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
}

/** Names from outside must not move the cursor or colour the screen. */
const printable = (text: string): string => text.replace(/\p{C}/gu, "?");

export class Progress {
  readonly #label: string;
  readonly #options: ProgressOptions;
  readonly #stream: NonNullable<ProgressOptions["stream"]>;
  readonly #now: () => number;
  readonly #began: number;
  #drawn = Number.NEGATIVE_INFINITY;
  #done: number;
  #detail = "";
  /** Recent (time, amount) marks: the rate is that of the last ten seconds. */
  readonly #marks: [number, number][] = [];

  constructor(label: string, options: ProgressOptions) {
    this.#label = printable(label);
    this.#options = options;
    this.#stream = options.stream ?? process.stderr;
    this.#now = options.now ?? (() => performance.now());
    this.#began = this.#now();
    // A bar appears at once on a terminal; a log gets its first line when there is something to wait for.
    if (!this.#stream.isTTY) this.#drawn = this.#began;
    this.#done = options.start ?? 0;
    this.#marks.push([this.#began, this.#done]);
  }

  /** `done` of the total is done; `detail` is shown behind it. */
  update(done: number, detail = this.#detail): void {
    this.#done = done;
    this.#detail = printable(detail);
    const now = this.#now();
    if (now - this.#drawn >= (this.#stream.isTTY ? 100 : 10_000)) this.#draw(now);
  }

  add(amount: number, detail?: string): void {
    this.update(this.#done + amount, detail);
  }

  /** Draws the last state and ends the line. */
  end(): void {
    this.#draw(this.#now());
    if (this.#stream.isTTY) this.#stream.write("\n");
  }

  #draw(now: number): void {
    this.#drawn = now;
    const line = this.line(now);
    if (this.#stream.isTTY) this.#stream.write(`\r${line.slice(0, (this.#stream.columns ?? 80) - 1)}\u001b[K`);
    else this.#stream.write(`${line}\n`);
  }

  /** The text of the bar. */
  line(now = this.#now()): string {
    const { total } = this.#options;
    const unit = this.#options.unit ?? "bytes";
    this.#marks.push([now, this.#done]);
    while (this.#marks.length > 2 && now - this.#marks[0][0] > 10_000) this.#marks.shift();
    const [time, amount] = this.#marks[0];
    const rate = now > time ? ((this.#done - amount) * 1000) / (now - time) : 0;
    const show = (n: number) => (unit === "bytes" ? formatBytes(n) : `${Math.round(n * 10) / 10} ${unit}`);
    const parts = [this.#label];
    if (total === null) parts.push(show(this.#done));
    else {
      const share = total === 0 ? 1 : Math.min(1, this.#done / total);
      const filled = Math.floor(share * 20);
      parts.push(`[${"#".repeat(filled)}${"-".repeat(20 - filled)}]`, `${Math.floor(share * 100)}%`);
      parts.push(`${show(this.#done)} of ${show(total)}`);
    }
    if (rate > 0) parts.push(`${show(rate)}/s`);
    if (total !== null && this.#done < total && rate > 0)
      parts.push(`${formatSeconds((total - this.#done) / rate)} left`);
    else if (total !== null && this.#done >= total) parts.push(`in ${formatSeconds((now - this.#began) / 1000)}`);
    if (this.#detail !== "") parts.push(this.#detail);
    return parts.join("  ");
  }
}
