// Loaded into a node's process before anything else (`--import`): it ends itself with SIGKILL at the n-th sync, as `WRIT_TEST_KILL_AT`
// (`before 7`, `inside 7`, `after 7`) says. The product knows nothing of it.
import fs, { constants } from "node:fs";
import type { FileHandle } from "node:fs/promises";
import { syncBuiltinESMExports } from "node:module";

const [when, number] = (process.env["WRIT_TEST_KILL_AT"] ?? "").split(" ");
let left = Number(number);

/** The operation that makes something durable, with the end of this process before it, while it runs, or when it is done. */
async function mortal<T>(operation: () => Promise<T>): Promise<T> {
  const isTheOne = --left === 0;
  if (isTheOne && when === "before") process.kill(process.pid, "SIGKILL");
  const running = operation();
  if (isTheOne && when === "inside") process.kill(process.pid, "SIGKILL");
  const result = await running;
  if (isTheOne) process.kill(process.pid, "SIGKILL");
  return result;
}

if (Number.isSafeInteger(left) && left > 0) {
  const open = fs.promises.open.bind(fs.promises);
  const prototype: FileHandle = Object.getPrototypeOf(await open(process.execPath, "r").then(closed));
  for (const name of ["sync", "datasync"] as const) {
    const original = prototype[name];
    prototype[name] = function sync(this: FileHandle) {
      return mortal(() => original.call(this));
    };
  }
  // Linux: a file whose writes are durable by themselves.
  fs.promises.open = async (file, flags, mode) => {
    const handle = await open(file, flags, mode);
    if (typeof flags !== "number" || (flags & constants.O_DSYNC) === 0) return handle;
    const write = handle.write.bind(handle);
    return Object.assign(handle, {
      write: (...given: Parameters<typeof write>) => mortal(() => write(...given)),
    });
  };
  syncBuiltinESMExports();
}

async function closed(handle: FileHandle): Promise<FileHandle> {
  await handle.close();
  return handle;
}
