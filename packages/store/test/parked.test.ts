import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { approvalId, roleName, stepId } from "@writ/core/ids";
import type { EntryDraft } from "@writ/core/entry";
import { openStore } from "@writ/store/open-store";
import { simulatedDisk } from "@writ/testkit/simulated-disk";
import { simulatedWorld } from "@writ/testkit/simulated-world";
import { run, runEnded, runStarted, simulatedStore, testProgram, timerSet } from "./harness.ts";

const asked: EntryDraft<"approval.requested"> = {
  kind: "approval.requested",
  run: run(2),
  cause: null,
  actor: { kind: "node" },
  atMs: 7,
  facts: {
    approval: approvalId("a_0123456789"),
    step: stepId("ask"),
    role: roleName("owner"),
    message: "may I?",
    effects: [],
    expiresAtMs: 500,
    reason: "program",
    onExpiry: "reject",
  },
};

test("P4 parked runs are found by their time, their program and their approvals, and are not among those to fold", async () => {
  const world = simulatedWorld({ seed: 1, automatic: true });
  const { ledger, projections } = await simulatedStore(simulatedDisk({ seed: 1 }), world);
  const { parked } = projections;
  for (const number of [1, 2, 3]) ledger.append(runStarted(run(number)));
  const timer = ledger.append(timerSet(run(1), 1));
  const request = ledger.append(asked);
  await ledger.durable(request.seq);
  parked.park([
    { run: run(1), program: testProgram, seq: timer.seq, wakeAtMs: 900 },
    { run: run(2), program: testProgram, seq: request.seq, wakeAtMs: 500 },
  ]);
  expect(projections.unfinishedRuns()).toEqual([run(3)]);
  expect(parked.counts()).toEqual(new Map([[testProgram, 2]]));
  expect(parked.nextWakeMs()).toBe(500);
  expect(parked.due(499, 10)).toEqual([]);
  expect(parked.due(900, 10)).toEqual([run(2), run(1)]);
  expect(parked.due(900, 1)).toEqual([run(2)]);
  expect(parked.approvals()).toMatchObject([{ run: run(2), workspace: "demo", requestedAtMs: 7 }]);
  expect(parked.runOfApproval(asked.facts.approval)).toBe(run(2));
  expect([parked.has(run(1)), parked.has(run(3))]).toEqual([true, false]);
  expect([parked.unpark(run(2)), parked.unpark(run(2))]).toEqual([true, false]);
  expect(parked.nextWakeMs()).toBe(900);
  expect(parked.approvals()).toEqual([]);
});

test("P4 what is kept of a run that went on or ended since is forgotten when the projections are opened", async () => {
  const world = simulatedWorld({ seed: 1, automatic: true });
  const dataFolder = mkdtempSync(join(tmpdir(), "writ-parked-"));
  const options = { dataFolder, world, entropy: world.entropy, version: "0.1.0" };
  const first = await openStore(options);
  const seqs = [1, 2, 3].map((number) => first.ledger.append(runStarted(run(number))).seq);
  await first.ledger.durable(seqs[2] ?? 0);
  first.projections.parked.park(
    seqs.map((seq, i) => ({ run: run(i + 1), program: testProgram, seq, wakeAtMs: null })),
  );
  first.ledger.append(timerSet(run(2), 1));
  first.ledger.append(runEnded(run(3)));
  await first.close();
  const second = await openStore(options);
  expect(second.projections.unfinishedRuns()).toEqual([run(2)]);
  expect([1, 2, 3].map((number) => second.projections.parked.has(run(number)))).toEqual([true, false, false]);
  await second.close();
});
