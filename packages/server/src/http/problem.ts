// Problems: faults as RFC 9457 documents. The code decides, the status only helps tools that know nothing else.
import type { Problem } from "@writ/core/api";
import { faultRecord, type FaultRecord } from "@writ/core/fault";
import { parseValue, toJson, type Json } from "@writ/core/value";
import { fault } from "../faults.ts";

const statusOfCode: Readonly<Record<string, number>> = {
  "auth.missing": 401,
  "auth.unknown": 401,
  "auth.role": 403,
  "auth.agent": 403,
  "request.host": 403,
  "request.origin": 403,
  "request.body": 400,
  "request.invalid": 400,
  "core.schema-mismatch": 400,
  "core.invalid-id": 400,
  "core.invalid-value": 400,
  "request.too-large": 413,
  "request.route": 404,
  "runtime.busy": 429,
  "request.rate": 429,
  "runtime.conflict": 409,
  "gate.rate": 429,
  "webhook.signature": 401,
  "webhook.timestamp": 400,
  "webhook.rate": 429,
  "webhook.body": 400,
  "webhook.cloud-event": 400,
  "approval.wrong-role": 403,
};

/** Codes that end so say: it is not there, or the state of things does not allow it now. */
const statusOfReason: Readonly<Record<string, number>> = {
  unknown: 404,
  exists: 409,
  ended: 409,
  "not-ended": 409,
  "nothing-held": 409,
  closed: 409,
  stale: 409,
  "in-use": 409,
  deployed: 409,
  "not-deployed": 409,
  paused: 409,
  "not-paused": 409,
  "not-approved": 409,
  "last-owner": 409,
};

export function statusOf(record: FaultRecord): number {
  const known = statusOfCode[record.code] ?? statusOfReason[record.code.slice(record.code.indexOf(".") + 1)];
  if (known !== undefined) return known;
  switch (record.kind) {
    case "rejected":
      return 422;
    case "transient":
      return 503;
    case "broken":
      return 500;
  }
}

/** The error as a fault: its own record, or a defect of ours whose message stays in the log. */
export function asFault(error: unknown): FaultRecord {
  return (
    faultRecord(error) ?? fault("server.bug", "Cannot serve the request: an unexpected error", {}, error)
  );
}

export function problemOf(record: FaultRecord, instance?: string): Problem {
  return {
    type: `urn:writ:fault:${record.code}`,
    title: record.code,
    status: statusOf(record),
    detail: record.message,
    ...(instance === undefined ? {} : { instance }),
    code: record.code,
    kind: record.kind,
    remedy: record.remedy,
    facts: factsAsJson(record.facts),
  };
}

/** Facts as they may leave the node: values only; what is none becomes its text. */
export function factsAsJson(facts: Readonly<Record<string, unknown>>): { readonly [key: string]: Json } {
  return Object.fromEntries(
    Object.entries(facts)
      .filter(([, fact]) => fact !== undefined)
      .map(([name, fact]) => [name, factAsJson(fact)]),
  );
}

function factAsJson(fact: unknown): Json {
  try {
    return toJson(parseValue(fact));
  } catch {
    return String(fact).slice(0, 1000);
  }
}
