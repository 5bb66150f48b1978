// Learning rate by step: warm-up, then constant, cosine, or warm-up–stable–decay (Hu et al., MiniCPM, 2024).

export interface Schedule {
  kind: "constant" | "cosine" | "wsd" | "linear";
  /** Steps of linear warm-up from 0 (the first step already moves). */
  warmupSteps: number;
  totalSteps: number;
  /** wsd: share of the steps, at the end, in which the rate falls. Default 0.2. */
  decayShare?: number;
  /** Where the fall ends, as a share of the peak. Default 0.1 (cosine), 0 (wsd, linear). */
  floor?: number;
}

/** Factor on the peak rate at `step`, counted from 0. */
export function rateFactor(schedule: Schedule, step: number): number {
  const { kind, warmupSteps, totalSteps } = schedule;
  if (step < warmupSteps) return (step + 1) / warmupSteps;
  if (kind === "constant") return 1;
  const floor = schedule.floor ?? (kind === "cosine" ? 0.1 : 0);
  const share = (from: number): number => Math.min(1, Math.max(0, (step + 1 - from) / Math.max(1, totalSteps - from)));
  if (kind === "cosine") return floor + ((1 - floor) * (1 + Math.cos(Math.PI * share(warmupSteps)))) / 2;
  if (kind === "linear") return 1 - (1 - floor) * share(warmupSteps);
  const decayStart = Math.max(warmupSteps, Math.round(totalSteps * (1 - (schedule.decayShare ?? 0.2))));
  return step < decayStart ? 1 : 1 - (1 - floor) * share(decayStart);
}
