// Plots as SVG, drawn here: bars in groups, on a linear or a logarithmic axis, with units. Colours follow the reader's light or dark theme.

export interface Series {
  readonly name: string;
  /** One value a group; null where there is none. */
  readonly values: readonly (number | null)[];
}

export interface BarPlot {
  readonly title: string;
  /** What the axis counts, with its unit. */
  readonly axis: string;
  readonly groups: readonly string[];
  readonly series: readonly Series[];
  readonly scale: "linear" | "log";
  /** A line under the title. */
  readonly note: string;
}

const width = 760;
const height = 380;
const left = 72;
const right = 16;
const top = 84;
const bottom = 56;
// Told apart also in grey and by readers who see few colours; Writ comes first.
const colours = ["#0b6bcb", "#e07b00", "#3d9a50", "#a259b5"] as const;

export function barPlot(plot: BarPlot): string {
  const values = plot.series.flatMap(({ values: all }) => all.filter((value) => value !== null));
  const most = Math.max(...values, 0);
  const least = Math.min(...values.filter((value) => value > 0), most);
  const ticks = plot.scale === "log" ? logTicks(least, most) : linearTicks(most);
  const lowest = plot.scale === "log" ? Math.log10(ticks[0] ?? 1) : 0;
  const highest = plot.scale === "log" ? Math.log10(ticks.at(-1) ?? 10) : (ticks.at(-1) ?? 1);
  const y = (value: number): number => {
    const at = plot.scale === "log" ? Math.log10(Math.max(value, 10 ** lowest)) : value;
    return height - bottom - ((at - lowest) / (highest - lowest || 1)) * (height - top - bottom);
  };
  const parts: string[] = [];
  for (const tick of ticks) {
    const at = y(tick).toFixed(1);
    parts.push(`<line class="grid" x1="${left}" x2="${width - right}" y1="${at}" y2="${at}"/>`);
    parts.push(text(left - 8, Number(at) + 4, number(tick), "end"));
  }
  const groupWidth = (width - left - right) / plot.groups.length;
  const barWidth = Math.min(64, (groupWidth * 0.82) / plot.series.length);
  plot.groups.forEach((group, g) => {
    const middle = left + groupWidth * (g + 0.5);
    parts.push(text(middle, height - bottom + 20, group, "middle"));
    plot.series.forEach(({ values: all }, s) => {
      const value = all[g];
      const x = middle + (s - plot.series.length / 2) * barWidth;
      if (value === null || value === undefined) {
        parts.push(text(x + barWidth / 2, height - bottom - 6, "–", "middle", "value"));
        return;
      }
      const above = y(value);
      const rest = Math.max(1, height - bottom - above);
      parts.push(
        `<rect fill="${colours[s % colours.length]}" x="${(x + 1).toFixed(1)}" y="${(height - bottom - rest).toFixed(1)}" width="${(barWidth - 2).toFixed(1)}" height="${rest.toFixed(1)}"/>`,
        text(x + barWidth / 2, height - bottom - rest - 5, number(value), "middle", "value"),
      );
    });
  });
  let at = left;
  for (const [s, { name }] of plot.series.entries()) {
    parts.push(`<rect fill="${colours[s % colours.length]}" x="${at}" y="54" width="12" height="12"/>`);
    parts.push(text(at + 18, 64, name, "start"));
    at += 18 + name.length * 7.5 + 22;
  }
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="${escaped(plot.title)}">
<style>
text { font: 13px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #1f2328; }
.title { font-size: 16px; font-weight: 600; } .note, .axis { font-size: 12px; fill: #57606a; } .value { font-size: 11px; }
.grid { stroke: #d0d7de; stroke-width: 1; } .paper { fill: #ffffff; }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3; } .note, .axis { fill: #9aa4ae; } .grid { stroke: #30363d; } .paper { fill: #0d1117; }
}
</style>
<rect class="paper" width="${width}" height="${height}" rx="6"/>
${text(left, 24, plot.title, "start", "title")}
${text(left, 42, plot.note, "start", "note")}
<text class="axis" text-anchor="middle" transform="translate(18 ${((height - bottom + top) / 2).toFixed(0)}) rotate(-90)">${escaped(plot.axis)}</text>
${parts.join("\n")}
</svg>
`;
}

function text(x: number, y: number, content: string, anchor: string, name = "label"): string {
  return `<text class="${name}" x="${x.toFixed(1)}" y="${y.toFixed(1)}" text-anchor="${anchor}">${escaped(content)}</text>`;
}

function escaped(content: string): string {
  return content.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;");
}

function number(value: number): string {
  return value.toLocaleString("en", { maximumFractionDigits: value < 10 ? 1 : 0 });
}

/** From zero to the first round number that holds the largest value, in four to six steps. */
function linearTicks(most: number): readonly number[] {
  const rough = Math.max(most, 1e-9) / 4;
  const unit = 10 ** Math.floor(Math.log10(rough));
  const step =
    [1, 2, 2.5, 5, 10].map((factor) => factor * unit).find((candidate) => candidate >= rough) ?? unit;
  return Array.from({ length: Math.ceil(most / step - 1e-9) + 1 }, (_, i) =>
    Number((i * step).toPrecision(12)),
  );
}

/** Powers of ten around the values; bars begin at the lowest. */
function logTicks(least: number, most: number): readonly number[] {
  const from = Math.floor(Math.log10(Math.max(least, 1e-3)));
  const to = Math.max(from + 1, Math.ceil(Math.log10(Math.max(most, 1e-3))));
  return Array.from({ length: to - from + 1 }, (_, i) => 10 ** (from + i));
}
