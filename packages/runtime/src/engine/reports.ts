// What a long capability says while it runs: progress for people and for the next attempt, signs of life, results that are streamed.
//   N1  Progress is durable before its promise resolves; between two entries of one effect lies a bounded time, the last value wins.
//   N2  A capability that declares `heartbeatMs` and says nothing for longer is told to stop: its outcome is unknown.
//   N3  What is said after the outcome was recorded is not recorded.
import type { CallContext } from "@writ/core/capability";
import type { FaultRecord } from "@writ/core/fault";
import type { Sha256, StepId } from "@writ/core/ids";
import { parseValue, type Value } from "@writ/core/value";
import { fault } from "../faults.ts";
import { attachmentBytesMax, attachmentsMax, progressBytesMax, progressMsMin } from "../limits.ts";
import { recordOf, sizeOf, type ActiveRun, type Core, type InFlight } from "./core.ts";
import { stepOf } from "./job.ts";

/** Bytes that a capability streamed into the blob store while it ran. */
export interface StreamedBlob {
  readonly kind: "blob";
  readonly sha256: Sha256;
  readonly sizeBytes: number;
}

export interface Reports {
  readonly members: Pick<CallContext, "progress" | "heartbeat" | "attach" | "lastProgress">;
  /** Nothing is recorded from now on. */
  close(): void;
}

/** @param onSilent called once when the capability said nothing for longer than it promised */
export function createReports(
  core: Core,
  run: ActiveRun,
  id: StepId,
  flight: InFlight,
  onSilent: (why: FaultRecord) => void,
): Reports {
  const { world, ledger, blobs } = core.options;
  const { attempt } = stepOf(run, id);
  const begunMs = world.monotonicMs();
  let signMs = begunMs;
  let recordedMs: number | null = null;
  let pending: {
    value: Value;
    readonly told: Promise<void>;
    readonly tell: (done: Promise<void>) => void;
  } | null = null;
  let closed = false;
  let takeBackWrite = (): void => undefined;
  let takeBackWatch = (): void => undefined;

  const write = (): void => {
    const due = pending;
    pending = null;
    if (due === null) return;
    const step = stepOf(run, id);
    if (closed || core.halted() !== null || step.phase.kind !== "intended" || step.attempt !== attempt) {
      due.tell(Promise.resolve());
      return;
    }
    recordedMs = world.monotonicMs();
    flight.lastProgress = due.value;
    const seq = core.apply(run, { kind: "effect.progress", facts: { step: id, attempt, value: due.value } });
    due.tell(ledger.durable(seq));
  };

  /** Seldom enough that an hour of progress is a few hundred entries: the pause grows with the time that it has taken. */
  const pauseMs = (): number => Math.max(progressMsMin, (world.monotonicMs() - begunMs) / 100);

  const progress = (input: Value): Promise<void> => {
    signMs = world.monotonicMs();
    const value = parseValue(input);
    const sizeBytes = sizeOf(value);
    if (sizeBytes > progressBytesMax) {
      const why = `Cannot record progress of about ${sizeBytes} bytes: ${progressBytesMax} is the most`;
      throw fault("runtime.progress-too-large", why, { sizeBytes, sizeBytesMax: progressBytesMax });
    }
    if (closed) return Promise.resolve();
    if (pending !== null) {
      pending.value = value;
      return pending.told;
    }
    let tell: (done: Promise<void>) => void = () => undefined;
    const told = new Promise<void>((resolve) => (tell = resolve));
    // A capability need not wait for it; that the ledger stopped halts the engine anyway.
    told.catch(() => undefined);
    pending = { value, told, tell };
    const leftMs = recordedMs === null ? 0 : recordedMs + pauseMs() - world.monotonicMs();
    if (leftMs <= 0) write();
    else takeBackWrite = core.timers.at(world.nowMs() + leftMs, write);
    return told;
  };

  const { heartbeatMs } = flight.capability;
  const watch = (): void => {
    if (closed || heartbeatMs === undefined) return;
    const leftMs = signMs + heartbeatMs - world.monotonicMs();
    if (leftMs > 0) takeBackWatch = core.timers.at(world.nowMs() + leftMs, watch);
    else onSilent(silentFault(flight, id, heartbeatMs));
  };
  watch();

  return {
    members: {
      progress,
      heartbeat: () => {
        signMs = world.monotonicMs();
      },
      attach: async (bytes) => {
        const known = (flight.attachments ??= []);
        if (known.length >= attachmentsMax) throw tooMuch(`more than ${attachmentsMax} attachments`);
        const signs = (): void => void (signMs = world.monotonicMs());
        const blob = await blobs.put(bytes instanceof Uint8Array ? checked(bytes) : counted(bytes, signs));
        known.push({ kind: "blob", ...blob });
        return blob;
      },
      ...(flight.lastProgress === undefined ? {} : { lastProgress: flight.lastProgress }),
    },
    close() {
      closed = true;
      takeBackWrite();
      takeBackWatch();
      pending?.tell(Promise.resolve());
      pending = null;
    },
  };
}

function checked(bytes: Uint8Array): Uint8Array {
  if (bytes.length > attachmentBytesMax) throw tooMuch(`${bytes.length} bytes`);
  return bytes;
}

async function* counted(bytes: AsyncIterable<Uint8Array>, sign: () => void): AsyncGenerator<Uint8Array> {
  let total = 0;
  for await (const chunk of bytes) {
    sign();
    total += chunk.length;
    if (total > attachmentBytesMax) throw tooMuch(`more than ${attachmentBytesMax} bytes`);
    yield chunk;
  }
}

function tooMuch(what: string): Error {
  return fault("runtime.attachment-too-large", `Cannot keep ${what} beside a result`, {
    sizeBytesMax: attachmentBytesMax,
    attachmentsMax,
  });
}

function silentFault({ capability }: InFlight, step: StepId, heartbeatMs: number): FaultRecord {
  const why = `\`${capability.id}\` gave no sign of life for ${heartbeatMs} ms`;
  return recordOf(fault("runtime.silent", why, { step, heartbeatMs }));
}
