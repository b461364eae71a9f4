// The ledger and the node itself: read, verified, backed up, told about.
import type { Entry } from "@writ/core/entry";
import { deployedPrograms } from "@writ/runtime/registry";
import type { Projections } from "@writ/store/projections";
import { fault } from "../faults.ts";
import type { Handlers } from "../http/app.ts";
import type { NodeContext } from "../node/context.ts";
import type { Upkeep } from "../node/upkeep.ts";
import { apiEntry } from "../views/entry.ts";
import { apiFault } from "../views/program.ts";
import { scheduleView } from "../views/schedule.ts";
import { apiEmergency } from "./emergencies.ts";

const entriesPerPage = 100;

export function ledgerHandlers(
  node: NodeContext,
  parts: { readonly projections: Projections; readonly upkeep: Upkeep },
): Pick<Handlers, "readLedger" | "verifyLedger" | "pruneLedger" | "archiveLedger" | "backup" | "status"> {
  const { ledger, engine, triggers } = node;
  return {
    readLedger: async ({ query }) => {
      const from = query.from ?? 0;
      const to = from + (query.limit ?? entriesPerPage);
      const entries: Entry[] = [];
      for await (const entry of ledger.scan(from, to)) entries.push(entry);
      return { entries: entries.map(apiEntry), next: to <= ledger.durableSeq() ? to : null };
    },
    verifyLedger: ({ body, caller }) => {
      // It names a folder of the machine.
      if (body.archive !== undefined && !caller.roles.some((role) => role === "owner"))
        throw fault("auth.role", "Cannot read an archive for anybody but an owner", { roles: ["owner"] });
      return parts.upkeep.verify(body.archive);
    },
    pruneLedger: ({ body, caller }) => parts.upkeep.prune(body, caller.actor),
    archiveLedger: ({ body, caller }) => parts.upkeep.archive(body, caller.actor),
    backup: ({ body }) => parts.upkeep.backup(body.file),
    status: async () => {
      const { runs } = parts.projections.counts();
      const { programs, workspaces } = node.registry();
      const broken = triggers.broken();
      const deployed = deployedPrograms(node.registry()).filter(({ hash }) => !broken.has(hash));
      const problems = [...broken].map(([hash, record]) => ({
        what: `program ${programs.get(hash)?.name ?? ""} (${hash.slice(0, 8)})`,
        fault: apiFault(record),
      }));
      return {
        version: node.version,
        node: ledger.node,
        data: node.data,
        startedAtMs: node.startedAtMs,
        nowMs: node.world.nowMs(),
        ledger: { ...ledger.head(), durableSeq: ledger.durableSeq() },
        runs: { active: engine.load().active, waiting: runs.waiting ?? 0, held: runs.held ?? 0 },
        schedule: scheduleView(engine.schedule()),
        programs: {
          deployed: deployed.filter(({ paused }) => !paused).length,
          paused: deployed.filter(({ paused }) => paused).length,
          broken: broken.size,
        },
        approvalsWaiting: engine.approvals().length,
        emergencyStops: engine.emergencies().map(apiEmergency),
        workspaces: [...workspaces.keys()],
        policy: node.policy.hash,
        problems: [
          ...problems,
          ...node.problems().map(({ what, fault }) => ({ what, fault: apiFault(fault) })),
        ],
      };
    },
  };
}
