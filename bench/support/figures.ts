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

export function rounded(value: number, digits = 2): number {
  return Number(value.toFixed(digits));
}

/** The physical limit: `fdatasync` calls a second of 4 KiB each, growing a file or overwriting a preallocated one. */
export async function fdatasyncRate(
  kind: "append" | "overwrite",
  seconds: number,
  folder = tmpdir(),
): Promise<number> {
  const name = join(folder, `writ-bench-fdatasync-${process.pid}`);
  const file = await open(name, "w+");
  const block = Buffer.alloc(4096, 1);
  const blocks = 1024;
  if (kind === "overwrite") {
    await file.write(Buffer.alloc(4096 * blocks), 0, 4096 * blocks, 0);
    await file.sync();
  }
  const end = performance.now() + seconds * 1000;
  const start = performance.now();
  let count = 0;
  while (performance.now() < end) {
    await file.write(block, 0, 4096, (kind === "append" ? count : count % blocks) * 4096);
    await file.datasync();
    count += 1;
  }
  const rate = count / ((performance.now() - start) / 1000);
  await file.close();
  await rm(name);
  return rate;
}
