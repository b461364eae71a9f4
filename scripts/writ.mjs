// The `writ` command, in this process: from the bundle, or with WRIT_SOURCE=1 from the sources as they are. `bin/writ` calls it.
import { enableCompileCache } from "node:module";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { bundle, isFromSource } from "./bundle.mjs";

const root = path.dirname(import.meta.dirname);
enableCompileCache(path.join(root, "node_modules", ".cache", "writ-compile"));
const main = isFromSource
  ? path.join(root, "packages", "cli", "src", "main.ts")
  : path.join(bundle(process.execPath), "writ.js");
await import(pathToFileURL(main).href);
