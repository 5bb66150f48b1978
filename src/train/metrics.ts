// A run's metrics as they lie on disk, and curves of them: a few lines of characters, or an SVG that compares runs.
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { basename, join } from "node:path";

export type MetricLine = Record<string, unknown> & { step: number };

export interface RunRecord {
  name: string;
  directory: string;
  method: string;
  steps: number;
  lines: MetricLine[];
}

/** The metrics of a run; where a killed run did steps twice the later line counts. A line cut off by a kill is passed over. */
export function readMetrics(directory: string): MetricLine[] {
  const path = join(directory, "metrics.jsonl");
  if (!existsSync(path)) return [];
  const byStep = new Map<number, MetricLine>();
  for (const text of readFileSync(path, "utf8").split("\n")) {
    try {
      const line = JSON.parse(text) as MetricLine;
      if (typeof line.step === "number" && !("failure" in line)) byStep.set(line.step, line);
    } catch {
      // The last line of a killed run may be half a line.
    }
  }
  return [...byStep.values()].sort((a, b) => a.step - b.step);
}

/** Every run under a folder, or the folder itself where it is one; the latest first. */
export function findRuns(folder: string): RunRecord[] {
  const isRun = (path: string): boolean => existsSync(join(path, "settings.json"));
  const directories = isRun(folder)
    ? [folder]
    : readdirSync(folder)
        .map((name) => join(folder, name))
        .filter((path) => statSync(path).isDirectory() && isRun(path))
        .sort((a, b) => statSync(join(b, "settings.json")).mtimeMs - statSync(join(a, "settings.json")).mtimeMs);
  return directories.map((directory) => {
    const settings = JSON.parse(readFileSync(join(directory, "settings.json"), "utf8")) as Record<string, unknown>;
    return {
      name: basename(directory),
      directory,
      method: String(settings.method),
      steps: Number(settings.steps),
      lines: readMetrics(directory),
    };
  });
}

/** [step, value] of one metric, `parts.copy` reaching inside. */
export function curve(lines: readonly MetricLine[], metric: string): [number, number][] {
  return lines.flatMap((line) => {
    let value: unknown = line;
    for (const part of metric.split(".")) value = (value as Record<string, unknown> | undefined)?.[part];
    return typeof value === "number" && Number.isFinite(value) ? [[line.step, value] as [number, number]] : [];
  });
}

const BLOCKS = "▁▂▃▄▅▆▇█";

/** One line of block characters, `width` wide: means of equal shares of the curve between its least and greatest. */
export function sparkline(points: readonly [number, number][], width: number): string {
  if (points.length === 0) return "";
  const columns = Math.min(width, points.length);
  const means = Array.from({ length: columns }, (_, c) => {
    const part = points.slice(
      Math.floor((c * points.length) / columns),
      Math.floor(((c + 1) * points.length) / columns),
    );
    return part.reduce((sum, [, v]) => sum + v, 0) / part.length;
  });
  const [low, high] = [Math.min(...means), Math.max(...means)];
  return means.map((v) => BLOCKS[high === low ? 0 : Math.min(7, Math.floor(((v - low) / (high - low)) * 8))]).join("");
}

const COLOURS = ["#4c78a8", "#e45756", "#54a24b", "#b279a2", "#f58518", "#72b7b2"];
const escapeXml = (text: string): string =>
  text.replace(/[&<>"]/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[c]!);

/** One metric of several runs over their steps, as an SVG document. */
export function svgOf(metric: string, runs: readonly { name: string; points: [number, number][] }[]): string {
  const [width, height, left, right, top, bottom] = [720, 400, 64, 16, 32, 40];
  const all = runs.flatMap(({ points }) => points);
  const range = (i: 0 | 1): [number, number] => {
    const values = all.map((point) => point[i]);
    const low = values.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY);
    const high = values.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
    return !(high > low) ? [Number.isFinite(low) ? low - 1 : 0, Number.isFinite(low) ? low + 1 : 1] : [low, high];
  };
  const [x0, x1] = range(0);
  const [y0, y1] = range(1);
  const x = (v: number): string => (left + ((v - x0) / (x1 - x0)) * (width - left - right)).toFixed(1);
  const y = (v: number): string => (height - bottom - ((v - y0) / (y1 - y0)) * (height - top - bottom)).toFixed(1);
  const parts = [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="12">`,
    `<rect width="${width}" height="${height}" fill="white"/>`,
    `<text x="${left}" y="20" font-size="14">${escapeXml(metric)}</text>`,
  ];
  for (let i = 0; i <= 4; i++) {
    const [vx, vy] = [x0 + ((x1 - x0) * i) / 4, y0 + ((y1 - y0) * i) / 4];
    parts.push(
      `<line x1="${left}" x2="${width - right}" y1="${y(vy)}" y2="${y(vy)}" stroke="#ddd"/>`,
      `<text x="${left - 6}" y="${y(vy)}" text-anchor="end" dominant-baseline="middle">${Number(vy.toPrecision(3))}</text>`,
      `<text x="${x(vx)}" y="${height - bottom + 16}" text-anchor="middle">${Math.round(vx)}</text>`,
    );
  }
  runs.forEach(({ name, points }, i) => {
    const colour = COLOURS[i % COLOURS.length];
    const path = points.map(([a, b]) => `${x(a)},${y(b)}`).join(" ");
    parts.push(
      `<polyline points="${path}" fill="none" stroke="${colour}" stroke-width="1.5"/>`,
      `<text x="${width - right}" y="${top + 14 * i}" text-anchor="end" fill="${colour}">${escapeXml(name)}</text>`,
    );
  });
  return `${parts.join("\n")}\n</svg>\n`;
}
