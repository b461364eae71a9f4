// The node process: reads its configuration, starts the node, and stops it when asked to. The only file that sees arguments and environment.
import { readFileSync } from "node:fs";
import process from "node:process";
import { faultRecord, type FaultRecord } from "@writ/core/fault";
import { printableLine, printableLines } from "@writ/core/printable";
import { help, readCommand, type Command, type Config } from "./config.ts";
import { guide } from "./guide.ts";
import { startNode, type RunningNode } from "./node.ts";
import { restoreBackup } from "./node/upkeep.ts";
import { failedStopTimeoutMs } from "./limits.ts";
import { replaceTokenOffline } from "./offline-token.ts";
import { systemWorld } from "./world.ts";

const exit = { ok: 0, rejected: 1, broken: 70 } as const;

await main().catch((error: unknown) => {
  const record = faultRecord(error);
  print(process.stderr, record === undefined ? `writ: ${stackOf(error)}` : faultText(record));
  process.exitCode = record?.kind === "rejected" ? exit.rejected : exit.broken;
});

async function main(): Promise<void> {
  const command = readCommand(process.argv.slice(2), process.env);
  const version = readVersion();
  await perform(command, version);
}

async function perform(command: Command, version: string): Promise<void> {
  switch (command.kind) {
    case "help":
      print(process.stdout, help);
      return;
    case "token":
      print(process.stdout, await replaceTokenOffline(command.config.data, command.person, version));
      return;
    case "restore":
      print(process.stdout, await restoreBackup(command.file, command.config.data));
      return;
    case "start":
      await start(command.config, version);
  }
}

async function start(config: Config, version: string): Promise<void> {
  const node = await startNode({
    data: config.data,
    port: config.port,
    ...(config.limits === undefined ? {} : { limits: config.limits }),
    ...(config.retention === undefined ? {} : { retention: config.retention }),
    version,
    desktop: desktopOf(process.env),
    print: (line) => print(process.stdout, line),
  });
  stopWhenAsked(node);
  void node.failed.then(async (record) => {
    print(process.stderr, faultText(record));
    // Whoever waits for an answer is told first.
    const closed = node.close("the ledger has stopped").catch(() => {});
    await Promise.race([closed, systemWorld.sleep(failedStopTimeoutMs)]);
    process.exit(exit.broken);
  });
  const broken = [...node.broken].map(
    ([hash, { code, message }]) => `${hash.slice(0, 8)} ${code}: ${message}`,
  );
  const { ownerToken, exampleRoot, recovered } = node;
  const url = `http://127.0.0.1:${node.port}`;
  print(
    process.stdout,
    guide({ url, data: config.data, version, pid: process.pid, ownerToken, exampleRoot, recovered, broken }),
  );
}

function stopWhenAsked(node: RunningNode): void {
  let isStopping = false;
  const stop = (signal: NodeJS.Signals): void => {
    // A second signal means now: the ledger is safe at every instant.
    if (isStopping) process.exit(exit.broken);
    isStopping = true;
    node.close(`signal ${signal}`).then(
      () => process.exit(exit.ok),
      (error: unknown) => {
        print(process.stderr, `writ: ${stackOf(error)}`);
        process.exit(exit.broken);
      },
    );
  };
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, stop);
}

/** What programs with a window need to find the screen; nothing else of the environment goes on. */
function desktopOf(
  environment: Readonly<Record<string, string | undefined>>,
): Readonly<Record<string, string>> {
  const names = [
    "DISPLAY",
    "WAYLAND_DISPLAY",
    "XDG_RUNTIME_DIR",
    "XAUTHORITY",
    "DBUS_SESSION_BUS_ADDRESS",
    "HOME",
    "LANG",
  ];
  if (!environment["DISPLAY"] && !environment["WAYLAND_DISPLAY"]) return {};
  return Object.fromEntries(
    names.flatMap((name) => {
      const value = environment[name];
      return value === undefined || value === "" ? [] : [[name, value]];
    }),
  );
}

function readVersion(): string {
  const file = new URL("../package.json", import.meta.url);
  const { version } = JSON.parse(readFileSync(file, "utf8")) as { readonly version: string };
  return version;
}

function print(stream: NodeJS.WritableStream, text: string): void {
  stream.write(`${printableLines(text.replace(/\n$/, ""))}\n`);
}

function faultText({ code, message, remedy }: FaultRecord): string {
  return `writ: ${printableLine(message)} (${code})\n      ${printableLine(remedy)}`;
}

function stackOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
