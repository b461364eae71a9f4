// `npm test`: check, the story end to end against real processes, bounded simulation, a bounded kill run. Under ten minutes on two
// cores. The last line is `N passed, N failed, N skipped`.
import path from "node:path";
import { check } from "./check.mjs";
import { prepare, root } from "./setup.mjs";
import { finish, newTally, runStage, runTests } from "./stages.mjs";

const killRuns = 20;

const context = prepare();
const tally = newTally();
await check(tally, context);
await runTests(tally, context, "e2e");
await runTests(tally, context, "simulation");
const campaign = path.join(root, "scripts", "kill-campaign.ts");
await runStage(tally, context, {
  name: `kill run (${killRuns} kills)`,
  command: ["--conditions=@writ/source", campaign, "--runs", String(killRuns)],
  live: true,
});
process.exitCode = finish(tally);
