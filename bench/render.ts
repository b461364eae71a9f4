// Writes what was measured into docs/performance.md, between its markers, and the plots into docs/plots: from bench/results alone.
//   node --conditions=@writ/source bench/render.ts
import { existsSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { median, rounded, type Figure } from "./support/figures.ts";
import { barPlot, type BarPlot } from "./plots.ts";

const root = path.join(import.meta.dirname, "..");
const document = path.join(root, "docs", "performance.md");
const plots = path.join(root, "docs", "plots");

interface Results {
  readonly atIso: string;
  readonly commit: string;
  readonly machine: {
    readonly node: string;
    readonly processors: number;
    readonly model: string;
    readonly memoryGib: number;
  };
}

interface PeerResults extends Results {
  readonly engines: readonly {
    readonly name: string;
    readonly durability: string;
    readonly versions: Readonly<Record<string, string>>;
  }[];
  readonly rounds: readonly {
    readonly engine: string;
    readonly servesMs: number;
    readonly firstRunMs: number;
    readonly idleMb: number;
    readonly idleApplicationMb: number;
    readonly throughput: readonly {
      readonly inFlight: number;
      readonly perSecond: number;
      readonly p50Ms: number;
    }[];
    readonly latency20Ms: readonly number[];
    readonly latency20: { readonly p50Ms: number; readonly p99Ms: number };
    readonly syncsPerSecond: number;
    readonly syncP99Ms: number;
  }[];
  readonly kills: readonly {
    readonly engine: string;
    readonly what: "worker" | "everything";
    readonly finishedSeconds: number | null;
    readonly stepsNeverDone: number;
    readonly stepsTwice: number;
  }[];
}

interface FigureResults extends Results {
  readonly benches: readonly {
    readonly script: string;
    readonly arguments: readonly string[];
    readonly aim: string;
    readonly seconds: number;
    readonly figures: readonly Figure[];
  }[];
}

let page = await readFile(document, "utf8");
await mkdir(plots, { recursive: true });
const peers = await results<PeerResults>("peers.json");
if (peers !== null) {
  page = between(page, "peers", peersText(peers));
  for (const [name, plot] of Object.entries(peerPlots(peers)))
    await writeFile(path.join(plots, `${name}.svg`), barPlot(plot));
}
const figures = await results<FigureResults>("figures.json");
if (figures !== null) page = between(page, "figures", figuresText(figures));
await writeFile(document, page);

async function results<T>(name: string): Promise<T | null> {
  const file = path.join(import.meta.dirname, "results", name);
  return existsSync(file) ? (JSON.parse(await readFile(file, "utf8")) as T) : null;
}

function between(text: string, name: string, content: string): string {
  const [begin, end] = [`<!-- ${name} -->`, `<!-- /${name} -->`];
  const [from, to] = [text.indexOf(begin), text.indexOf(end)];
  if (from < 0 || to < from) throw new Error(`docs/performance.md has no \`${begin}\` … \`${end}\``);
  return `${text.slice(0, from + begin.length)}\n\n${content.trim()}\n\n${text.slice(to)}`;
}

function measuredOn({ atIso, commit, machine }: Results): string {
  return `Measured ${atIso.slice(0, 10)} at ${commit}: Node ${machine.node}, ${machine.processors} × ${machine.model}, ${machine.memoryGib} GiB.`;
}

/** Medians over the rounds of one engine. */
function medians(all: PeerResults, engine: string) {
  const rounds = all.rounds.filter((round) => round.engine === engine);
  const of = (pick: (round: (typeof rounds)[number]) => number): number => median(rounds.map(pick));
  const at = (inFlight: number) =>
    of(({ throughput }) => throughput.find((one) => one.inFlight === inFlight)?.perSecond ?? Number.NaN);
  return {
    perSecond: [at(1), at(16), at(128)] as const,
    p50Ms: of(({ latency20 }) => latency20.p50Ms),
    p99Ms: of(({ latency20 }) => latency20.p99Ms),
    firstRunMs: of(({ firstRunMs }) => firstRunMs),
    idleMb: of(({ idleMb }) => idleMb),
    idleApplicationMb: of(({ idleApplicationMb }) => idleApplicationMb),
    syncsPerSecond: of(({ syncsPerSecond }) => syncsPerSecond),
    rounds: rounds.length,
  };
}

function peersText(all: PeerResults): string {
  const names = all.engines.map(({ name }) => name);
  const rows = names.map((name) => {
    const one = medians(all, name);
    const rates = one.perSecond.map((rate) => whole(rate)).join(" / ");
    return `| ${name} | ${rates} | ${one.p50Ms} / ${one.p99Ms} | ${whole(one.firstRunMs)} | ${one.idleMb} | ${one.idleApplicationMb} | ${whole(one.syncsPerSecond)} |`;
  });
  const kills = all.kills.map(
    ({ engine, what, finishedSeconds, stepsTwice, stepsNeverDone }) =>
      `| ${engine} | ${engine === "Writ" ? "everything (it is one process)" : what} | ${finishedSeconds === null ? "not within 90 s" : finishedSeconds} | ${stepsTwice} | ${stepsNeverDone} |`,
  );
  const versions = all.engines.map(
    ({ name, durability, versions: parts }) =>
      `- ${name}: ${Object.entries(parts)
        .map(([part, version]) => `${part} ${version}`)
        .join(", ")}; ${durability}.`,
  );
  return `${measuredOn(all)} Medians of ${medians(all, names[0] ?? "").rounds} rounds.

| engine | runs a second at 1 / 16 / 128 in flight | p50 / p99 ms at 20 a second | start to first run ms | idle MB, all | idle MB, application | raw syncs a second then |
|---|---|---|---|---|---|---|
${rows.join("\n")}

![Runs a second at 1, 16 and 128 in flight](plots/peers-throughput.svg)
![Latency at 20 runs a second](plots/peers-latency.svg)
![Start and memory](plots/peers-start.svg)

SIGKILL with 200 runs in flight, each with one effect that was done outside and whose answer had not come:

| engine | killed | seconds until all finished | effects done twice | never done |
|---|---|---|---|---|
${kills.join("\n")}

![Seconds until every run has finished after SIGKILL](plots/peers-recovery.svg)

${versions.join("\n")}`;
}

function peerPlots(all: PeerResults): Readonly<Record<string, BarPlot>> {
  const names = all.engines.map(({ name }) => name);
  const series = (pick: (name: string) => readonly (number | null)[]) =>
    names.map((name) => ({ name, values: pick(name) }));
  const note = `Three durable steps a run, started over HTTP; ${all.machine.processors} processors, ${all.atIso.slice(0, 10)}`;
  const killed = (name: string, what: string): number | null =>
    all.kills.find((one) => one.engine === name && (one.what === what || name === "Writ"))?.finishedSeconds ??
    null;
  return {
    "peers-throughput": {
      title: "Completed runs a second (more is better)",
      axis: "runs a second, logarithmic",
      note,
      scale: "log",
      groups: ["1 in flight", "16 in flight", "128 in flight"],
      series: series((name) => medians(all, name).perSecond),
    },
    "peers-latency": {
      title: "Latency at 20 runs a second (less is better)",
      axis: "milliseconds, logarithmic",
      note,
      scale: "log",
      groups: ["p50", "p99"],
      series: series((name) => [medians(all, name).p50Ms, medians(all, name).p99Ms]),
    },
    "peers-start": {
      title: "From nothing to the first completed run, and idle memory (less is better)",
      axis: "milliseconds, and MB; logarithmic",
      note: "All processes of the engine, its database too",
      scale: "log",
      groups: ["start to first run, ms", "idle memory, MB"],
      series: series((name) => [medians(all, name).firstRunMs, medians(all, name).idleMb]),
    },
    "peers-recovery": {
      title: "After SIGKILL with 200 in flight: until every run has finished (less is better)",
      axis: "seconds, logarithmic",
      note: "Writ is one process; a dash did not finish in 90 s",
      scale: "log",
      groups: ["worker killed", "everything killed"],
      series: series((name) => [killed(name, "worker"), killed(name, "everything")]),
    },
  };
}

function figuresText(all: FigureResults): string {
  const sections = all.benches.map(({ script, arguments: args, aim, seconds, figures: lines }) => {
    const command = `bench/${script}${args.length > 0 ? ` ${args.join(" ")}` : ""}`;
    const rows = lines.map(({ bench: _bench, figure, value, unit, ...facts }) => {
      const rest = Object.entries(facts).map(([name, fact]) => `${name} ${String(fact)}`);
      return `| ${figure} | ${value.toLocaleString("en")} | ${unit} | ${rest.join(", ")} |`;
    });
    return `### \`${command}\` (${whole(seconds)} s)

Aim: ${aim}.

| figure | value | unit | facts |
|---|---|---|---|
${rows.join("\n")}`;
  });
  return `${measuredOn(all)}\n\n${sections.join("\n\n")}`;
}

function whole(value: number): string {
  return rounded(value, 0).toLocaleString("en");
}
