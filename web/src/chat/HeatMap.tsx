// Layers × experts: how often each layer chose each expert over the answer, with the selected token's choice outlined.
import { useEffect, useMemo, useRef, useState } from "react";
import type { TokenRecord } from "../../../src/server/app/protocol.ts";
import { useWords } from "../words/index.ts";

export function HeatMap({
  tokens,
  selected,
  known,
}: {
  tokens: TokenRecord[];
  selected: TokenRecord | undefined;
  /** The model's number of experts, where it is known. */
  known: number | undefined;
}) {
  const words = useWords();
  const canvas = useRef<HTMLCanvasElement>(null);
  const [pointed, setPointed] = useState<string>();
  const counts = useMemo(() => {
    const layers: number[][] = [];
    let experts = 0;
    for (const token of tokens)
      token.routes?.forEach((chosen, layer) => {
        layers[layer] ??= [];
        for (const expert of chosen) {
          layers[layer][expert] = (layers[layer][expert] ?? 0) + 1;
          experts = Math.max(experts, expert + 1);
        }
      });
    // A power of two where the number is unknown, so that the map does not grow while an answer runs.
    return { layers, experts: Math.max(experts, known ?? 2 ** Math.ceil(Math.log2(Math.max(2, experts)))) };
  }, [tokens, known]);

  const { layers, experts } = counts;
  useEffect(() => {
    const element = canvas.current;
    if (!element) return;
    const draw = (): void => {
      const style = getComputedStyle(element);
      const width = element.clientWidth;
      const cellWidth = width / experts;
      const cellHeight = Math.max(6, Math.min(18, cellWidth));
      const height = cellHeight * layers.length;
      const scale = devicePixelRatio;
      element.width = Math.round(width * scale);
      element.height = Math.round(height * scale);
      element.style.height = `${height}px`;
      const context = element.getContext("2d")!;
      context.scale(scale, scale);
      const gap = cellWidth > 5 ? 1 : 0;
      const most = Math.max(1, ...layers.flatMap((row) => row.map((count) => count ?? 0)));
      layers.forEach((row, layer) => {
        for (let expert = 0; expert < experts; expert++) {
          const share = (row[expert] ?? 0) / most;
          context.globalAlpha = 0.06 + 0.94 * Math.sqrt(share);
          context.fillStyle = style.color;
          context.fillRect(expert * cellWidth, layer * cellHeight, cellWidth - gap, cellHeight - gap);
        }
      });
      context.globalAlpha = 1;
      context.strokeStyle = style.outlineColor;
      context.lineWidth = 2;
      selected?.routes?.forEach((chosen, layer) => {
        for (const expert of chosen)
          context.strokeRect(
            expert * cellWidth + 0.5,
            layer * cellHeight + 0.5,
            cellWidth - gap - 1,
            cellHeight - gap - 1,
          );
      });
    };
    draw();
    const observer = new ResizeObserver(draw);
    observer.observe(element);
    return () => observer.disconnect();
  }, [layers, experts, selected]);

  return (
    <figure className="heat">
      <canvas
        ref={canvas}
        role="img"
        aria-label={`${words.insideExperts}: ${layers.length} × ${experts}`}
        onPointerMove={(event) => {
          const box = event.currentTarget.getBoundingClientRect();
          const expert = Math.floor(((event.clientX - box.left) / box.width) * experts);
          const layer = Math.floor(((event.clientY - box.top) / box.height) * layers.length);
          if (layer >= 0 && layer < layers.length)
            setPointed(`${words.layer} ${layer + 1} · ${words.expert} ${expert} · ${layers[layer][expert] ?? 0}×`);
        }}
        onPointerLeave={() => setPointed(undefined)}
      />
      <figcaption>{pointed ?? words.insideExpertsHint}</figcaption>
    </figure>
  );
}
