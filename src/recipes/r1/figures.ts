// Plain SVG figures for the report: lines over steps, and groups of bars with intervals. Numbers in, text out.

const WIDTH = 640;
const HEIGHT = 260;
const LEFT = 56;
const RIGHT = 12;
const TOP = 34;
const BOTTOM = 40;
/** Tell each other apart for most eyes (Okabe and Ito). */
const COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#555555"];

export interface Line {
  name: string;
  points: readonly (readonly [number, number])[];
}

const markup = (text: string): string =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");

const short = (value: number): string => {
  const size = Math.abs(value);
  if (size >= 1e4) return value.toExponential(0).replace("e+", "e");
  return String(Number(value.toPrecision(3)));
};

/** Round values that cover [low, high], about five of them. */
function ticks(low: number, high: number): number[] {
  const rough = (high - low) / 4 || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= rough) as number;
  const out: number[] = [];
  for (let value = Math.ceil(low / step) * step; value <= high + step * 1e-6; value += step)
    out.push(Math.abs(value) < step * 1e-6 ? 0 : value);
  return out;
}

function frame(title: string, body: string[], names: readonly string[]): string {
  let at = LEFT;
  const legend =
    names.length < 2
      ? []
      : names.map((name, i) => {
          const x = at;
          at += 22 + name.length * 6.6;
          return `<rect x="${x}" y="20" width="10" height="10" fill="${COLOURS[i % COLOURS.length]}"/><text x="${x + 14}" y="29">${markup(name)}</text>`;
        });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="11" role="img" aria-label="${markup(title)}">`,
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="#fff"/>`,
    `<text x="${LEFT}" y="14" font-size="13" font-weight="bold">${markup(title)}</text>`,
    ...legend,
    ...body,
    "</svg>",
    "",
  ].join("\n");
}

function scaleY(low: number, high: number, percent: boolean): { y: (v: number) => number; axis: string[] } {
  const y = (v: number): number => HEIGHT - BOTTOM - ((v - low) / (high - low || 1)) * (HEIGHT - BOTTOM - TOP);
  const axis = ticks(low, high).map(
    (v) =>
      `<line x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${y(v).toFixed(1)}" y2="${y(v).toFixed(1)}" stroke="#ddd"/><text x="${LEFT - 6}" y="${(y(v) + 4).toFixed(1)}" text-anchor="end">${percent ? `${Math.round(v * 100)} %` : short(v)}</text>`,
  );
  return { y, axis };
}

/** Lines over a common horizontal axis. Points that are not finite are left out. */
export function lineFigure(
  title: string,
  xName: string,
  lines: readonly Line[],
  options: { percent?: boolean } = {},
): string {
  const points = lines.flatMap((line) => line.points).filter(([x, y]) => Number.isFinite(x) && Number.isFinite(y));
  if (points.length === 0) throw new RangeError(`the figure "${title}" has no points`);
  const xs = points.map(([x]) => x);
  const ys = points.map(([, y]) => y);
  const [x0, x1] = [Math.min(...xs), Math.max(...xs)];
  const low = options.percent ? 0 : Math.min(0, ...ys);
  const high = options.percent ? 1 : Math.max(...ys);
  const { y, axis } = scaleY(low, high === low ? low + 1 : high, options.percent === true);
  const x = (v: number): number => LEFT + ((v - x0) / (x1 - x0 || 1)) * (WIDTH - RIGHT - LEFT);
  const body = [...axis];
  for (const v of ticks(x0, x1))
    body.push(`<text x="${x(v).toFixed(1)}" y="${HEIGHT - BOTTOM + 16}" text-anchor="middle">${short(v)}</text>`);
  body.push(`<text x="${WIDTH - RIGHT}" y="${HEIGHT - 8}" text-anchor="end">${markup(xName)}</text>`);
  lines.forEach((line, i) => {
    const path = line.points
      .filter(([a, b]) => Number.isFinite(a) && Number.isFinite(b))
      .map(([a, b]) => `${x(a).toFixed(1)},${y(b).toFixed(1)}`)
      .join(" ");
    body.push(`<polyline points="${path}" fill="none" stroke="${COLOURS[i % COLOURS.length]}" stroke-width="1.8"/>`);
  });
  return frame(
    title,
    body,
    lines.map(({ name }) => name),
  );
}

export interface Bar {
  value: number;
  interval: readonly [number, number];
}

/** Groups of bars between 0 and 1 with their intervals; a missing bar leaves its place empty. */
export function barFigure(
  title: string,
  groups: readonly string[],
  series: readonly { name: string; bars: readonly (Bar | undefined)[] }[],
): string {
  const { y, axis } = scaleY(0, 1, true);
  const body = [...axis];
  const room = (WIDTH - RIGHT - LEFT) / groups.length;
  const width = (room * 0.8) / Math.max(1, series.length);
  groups.forEach((group, g) => {
    const from = LEFT + g * room + room * 0.1;
    body.push(
      `<text x="${(from + room * 0.4).toFixed(1)}" y="${HEIGHT - BOTTOM + 16}" text-anchor="middle">${markup(group)}</text>`,
    );
    series.forEach(({ bars }, s) => {
      const bar = bars[g];
      if (!bar) return;
      const x = from + s * width;
      const middle = (x + width / 2).toFixed(1);
      body.push(
        `<rect x="${x.toFixed(1)}" y="${y(bar.value).toFixed(1)}" width="${(width * 0.9).toFixed(1)}" height="${(y(0) - y(bar.value)).toFixed(1)}" fill="${COLOURS[s % COLOURS.length]}"/>`,
        `<line x1="${middle}" x2="${middle}" y1="${y(bar.interval[0]).toFixed(1)}" y2="${y(bar.interval[1]).toFixed(1)}" stroke="#000"/>`,
      );
    });
  });
  return frame(
    title,
    body,
    series.map(({ name }) => name),
  );
}
