// `npm test`: check, the story end to end against real processes, bounded simulation, a bounded kill run. Under ten minutes on two
// cores. Where `CI` is `true` the system's part is installed first, when that may be done. `--set-up-only` stops there. The last line is `N passed, N failed, N skipped`.
import path from "node:path";
import { check } from "./check.mjs";
import { prepare, root } from "./setup.mjs";
import { finish, newTally, runStage, runTests } from "./stages.mjs";
import { setupSystem } from "./system.mjs";

const killRuns = 20;

const context = prepare();
console.log(setupSystem());
if (process.argv.includes("--set-up-only")) process.exit(0);
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
