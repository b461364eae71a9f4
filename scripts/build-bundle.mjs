// Builds the bundle: `build-bundle.mjs FOLDER ENTRIES`. What a node or a command loads only when it is asked for stays a chunk of its own.
import { mkdirSync, readdirSync, renameSync, rmSync, statSync } from "node:fs";
import path from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { rolldown } from "rolldown";

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const [folder = "", also = "{}"] = process.argv.slice(2);
/** A bundle may belong to a node that still runs and loads a part of it later: only old ones go. */
const keptMs = 30 * 24 * 60 * 60 * 1000;
const keptCount = 20;

/** The threads stand beside the chunk that starts them, under the name it gives them. */
const entries = {
  node: "packages/server/src/main.ts",
  writ: "packages/cli/src/main.ts",
  "empty-log": "packages/store/src/projections/empty-log.ts",
  "solver/worker": "packages/verifier/src/solver/worker.ts",
};

/** Files that ship beside the sources (policies, the example, package.json) are found from where the source stands. */
const keepPlaces = {
  name: "keep-places",
  transform: {
    filter: { id: /packages[\\/][^\\/]+[\\/]src[\\/]|bench[\\/]/, code: /import\.meta\.(url|dirname)/ },
    handler(code, id) {
      if (/new Worker\(/.test(code)) return null;
      return code
        .replaceAll("import.meta.url", JSON.stringify(pathToFileURL(id).href))
        .replaceAll("import.meta.dirname", JSON.stringify(path.dirname(id)));
    },
  },
};

const build = await rolldown({
  cwd: root,
  input: { ...entries, ...JSON.parse(also) },
  platform: "node",
  tsconfig: false,
  // WebAssembly and its loaders find their own files.
  external: [/^@cedar-policy\//, /^z3-solver/],
  resolve: { conditionNames: ["@writ/source", "node", "default"] },
  plugins: [keepPlaces],
  logLevel: "warn",
});
const unfinished = `${folder}.${process.pid}`;
mkdirSync(unfinished, { recursive: true });
try {
  await build.write({
    dir: unfinished,
    format: "esm",
    entryFileNames: "[name].js",
    chunkFileNames: "[name]-[hash].js",
    codeSplitting: true,
    minify: false,
    sourcemap: false,
  });
  await build.close();
  renameSync(unfinished, folder);
} catch (error) {
  rmSync(unfinished, { recursive: true, force: true });
  // Somebody else built the same in the meantime.
  if (error?.code !== "ENOTEMPTY" && error?.code !== "EEXIST") throw error;
}
removeOld(path.dirname(folder));

function removeOld(dist) {
  const built = readdirSync(dist)
    // Another start may move or remove its own meanwhile.
    .map((name) => ({ name, mtimeMs: statSync(path.join(dist, name), { throwIfNoEntry: false })?.mtimeMs }))
    .filter(({ mtimeMs }) => mtimeMs !== undefined)
    .toSorted((a, b) => b.mtimeMs - a.mtimeMs);
  for (const { name, mtimeMs } of built.slice(keptCount)) {
    if (Date.now() - mtimeMs > keptMs) rmSync(path.join(dist, name), { recursive: true, force: true });
  }
}
