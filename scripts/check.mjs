// `npm run check`: everything that needs no running node. Also the first part of `npm test`.
import { pathToFileURL } from "node:url";
import { prepare } from "./setup.mjs";
import { finish, newTally, runStage, runTests, tool } from "./stages.mjs";

export async function check(tally, context) {
  const stages = [
    { name: "format", command: [tool("oxfmt/bin/oxfmt"), "--check"] },
    { name: "lint", command: [tool("oxlint/bin/oxlint"), "--type-aware", "--deny-warnings"] },
    { name: "types", command: [tool("typescript/bin/tsc"), "-b", "tsconfig.build.json"] },
    { name: "types of tests", command: [tool("typescript/bin/tsc"), "-p", "tsconfig.test.json"] },
    { name: "dead code", command: [tool("knip/bin/knip.js")] },
  ];
  for (const stage of stages) await runStage(tally, context, stage);
  await runTests(tally, context, "unit");
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  const tally = newTally();
  await check(tally, prepare());
  process.exitCode = finish(tally);
}
