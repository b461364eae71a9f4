import { open, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";

export interface Figure {
  readonly bench: string;
  readonly figure: string;
  readonly value: number;
  readonly unit: string;
  readonly [fact: string]: string | number | boolean | null;
}

/** One JSON line a figure. */
export function report(figure: Figure): void {
  process.stdout.write(`${JSON.stringify(figure)}\n`);
}

/** The value below which the share of the samples lies; samples need not be sorted. */
export function percentile(samples: readonly number[], share: number): number {
  const sorted = [...samples].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

export function median(samples: readonly number[]): number {
  return percentile(samples, 0.5);
}

/** Milliseconds: p50, p90, p99 and the longest. */
export function latencies(samples: readonly number[]) {
  return {
    p50Ms: rounded(percentile(samples, 0.5)),
    p90Ms: rounded(percentile(samples, 0.9)),
    p99Ms: rounded(percentile(samples, 0.99)),
    maxMs: rounded(samples.reduce((most, sample) => Math.max(most, sample), 0)),
  };
}

export function rounded(value: number, digits = 2): number {
  return Number(value.toFixed(digits));
}

/**
 * What the disk does at this moment: `fdatasync` of 4 KiB overwritten in place, for a quarter of a second. Beside a figure it tells
 * a slow engine from a busy disk.
 */
export async function diskNow(): Promise<{ readonly syncsPerSecond: number; readonly syncP99Ms: number }> {
  const { rate, samplesMs } = await fdatasyncSamples("overwrite", 0.25, tmpdir());
  return { syncsPerSecond: rounded(rate, 0), syncP99Ms: rounded(percentile(samplesMs, 0.99)) };
}

/** The physical limit: `fdatasync` calls a second of 4 KiB each, growing a file or overwriting a preallocated one. */
export async function fdatasyncRate(
  kind: "append" | "overwrite",
  seconds: number,
  folder = tmpdir(),
): Promise<number> {
  return (await fdatasyncSamples(kind, seconds, folder)).rate;
}

async function fdatasyncSamples(
  kind: "append" | "overwrite",
  seconds: number,
  folder: string,
): Promise<{ readonly rate: number; readonly samplesMs: readonly number[] }> {
  const name = join(folder, `writ-bench-fdatasync-${process.pid}`);
  const file = await open(name, "w+");
  const block = Buffer.alloc(4096, 1);
  const blocks = 256;
  if (kind === "overwrite") {
    await file.write(Buffer.alloc(4096 * blocks), 0, 4096 * blocks, 0);
    await file.sync();
  }
  const start = performance.now();
  const end = start + seconds * 1000;
  const samplesMs: number[] = [];
  for (let from = performance.now(); from < end;) {
    const place = kind === "append" ? samplesMs.length : samplesMs.length % blocks;
    await file.write(block, 0, 4096, place * 4096);
    await file.datasync();
    const now = performance.now();
    samplesMs.push(now - from);
    from = now;
  }
  const rate = samplesMs.length / ((performance.now() - start) / 1000);
  await file.close();
  await rm(name);
  return { rate, samplesMs };
}
