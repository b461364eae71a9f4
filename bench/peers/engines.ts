// The engines: Writ, Restate, DBOS on PostgreSQL, BullMQ on Redis. Each with its defaults, but durability on.
import { execFileSync } from "node:child_process";
import { chownSync, existsSync, globSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import process from "node:process";
import { poster } from "../support/load.ts";
import { openWorkload } from "../support/workload.ts";
import {
  appCommand,
  daemon,
  end,
  freePort,
  modulesFolder,
  treeMemoryMb,
  versionOf,
  type Daemon,
  type Engine,
} from "./engine.ts";

const connections = 256;
const temporary = (name: string): string => mkdtempSync(path.join(tmpdir(), `writ-peer-${name}-`));

/** Posts `{ id }` and fails on any answer but a good one. */
function client(port: number) {
  const http = poster({ port }, connections);
  return {
    async post(at: string, id: string): Promise<void> {
      const { status, body } = await http.post(at, JSON.stringify({ id }));
      if (status >= 300) throw new Error(`${at} answered ${status}: ${JSON.stringify(body)}`);
    },
    close: http.close,
  };
}

/** One process is everything: server, worker and store. Its counter process is shared with the others through its own client. */
export async function writ(): Promise<Engine & { readonly counterPort: number }> {
  const work = await openWorkload({ connections });
  const counting = await work.deployFor(connections, "post");
  let next = 0;
  const program = (): string => counting[next++ % counting.length] ?? "";
  const node = (): Daemon => ({ child: work.node().process, firstLine: "" });
  return {
    name: "Writ",
    durability: "every entry synced before its consequence (O_DSYNC); policy, gate and hash chain included",
    versions: { node: process.version },
    counterPort: Number(work.counter.firstLine),
    start: () => work.restart(),
    run: () => work.runOnce(program()),
    begin: () => work.begin(program()),
    stop: () => work.node().stop(),
    kill: () => work.node().stop("SIGKILL"),
    restart: () => work.restart(),
    memory: () => ({ allMb: treeMemoryMb(node()), applicationMb: treeMemoryMb(node()) }),
    close: () => work.close(),
  };
}

export async function restate(counterPort: number): Promise<Engine> {
  const data = temporary("restate");
  const [ingress, admin, fabric, endpoint] = [
    await freePort(),
    await freePort(),
    await freePort(),
    await freePort(),
  ];
  const binary = path.join(
    modulesFolder,
    `@restatedev/restate-server-linux-${process.arch}/bin/restate-server`,
  );
  let server: Daemon | null = null;
  let worker: Daemon | null = null;
  let http: ReturnType<typeof client> | null = null;
  let isRegistered = false;
  const environment = {
    ...process.env,
    RESTATE_BASE_DIR: data,
    RESTATE_NODE_NAME: "bench",
    RESTATE_LISTEN_MODE: "tcp",
    RESTATE_BIND_IP: "127.0.0.1",
    RESTATE_ADVERTISED_HOST: "127.0.0.1",
    RESTATE_BIND_PORT: String(fabric),
    RESTATE_INGRESS__BIND_ADDRESS: `127.0.0.1:${ingress}`,
    RESTATE_ADMIN__BIND_ADDRESS: `127.0.0.1:${admin}`,
    RESTATE_LOG_FILTER: "error",
    RESTATE_DISABLE_TELEMETRY: "true",
    DO_NOT_TRACK: "1",
  };
  const startWorker = async (): Promise<void> => {
    worker = await daemon(...appCommand("restate.mjs", String(endpoint), String(counterPort)), {
      line: true,
    });
  };
  const startServer = async (): Promise<void> => {
    server = await daemon(binary, ["--no-logo"], { port: ingress }, { env: environment, cwd: data });
    http = client(ingress);
    await isReady();
  };
  const isReady = async (): Promise<void> => {
    for (;;) {
      try {
        if ((await fetch(`http://127.0.0.1:${admin}/health`)).ok) return;
      } catch {
        // Not yet.
      }
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  };
  const register = async (): Promise<void> => {
    if (isRegistered) return;
    const answer = await fetch(`http://127.0.0.1:${admin}/deployments`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ uri: `http://127.0.0.1:${endpoint}` }),
    });
    if (!answer.ok) throw new Error(`Restate took no deployment: ${await answer.text()}`);
    isRegistered = true;
  };
  const stop = async (signal: NodeJS.Signals): Promise<void> => {
    http?.close();
    await Promise.all([end(worker, signal), end(server, signal)]);
  };
  return {
    name: "Restate",
    durability: "RocksDB log synced (default)",
    versions: {
      "@restatedev/restate-server": versionOf("@restatedev/restate-server"),
      "@restatedev/restate-sdk": versionOf("@restatedev/restate-sdk"),
    },
    async start() {
      await Promise.all([startServer(), startWorker()]);
      await register();
    },
    run: async (id) => http?.post("/bench/run", id),
    begin: async (id) => http?.post("/bench/run/send", id),
    stop: () => stop("SIGTERM"),
    kill: async (what) => (what === "worker" ? end(worker, "SIGKILL") : stop("SIGKILL")),
    async restart() {
      const isServed = server?.child.exitCode === null && server.child.signalCode === null;
      await Promise.all([isServed ? undefined : startServer(), startWorker()]);
    },
    memory: () => ({
      allMb: treeMemoryMb(server) + treeMemoryMb(worker),
      applicationMb: treeMemoryMb(worker),
    }),
    async close() {
      await stop("SIGKILL");
      rmSync(data, { recursive: true, force: true });
    },
  };
}

/** An application of our own in front of a database of its own: DBOS and BullMQ. */
function applicationOn(options: {
  readonly name: string;
  readonly durability: string;
  readonly versions: Readonly<Record<string, string>>;
  readonly startDatabase: () => Promise<Daemon>;
  readonly startApplication: () => Promise<Daemon>;
  readonly databaseSignal: NodeJS.Signals;
  readonly remove: () => void;
}): Engine {
  let database: Daemon | null = null;
  let application: Daemon | null = null;
  let http: ReturnType<typeof client> | null = null;
  const startApplication = async (): Promise<void> => {
    application = await options.startApplication();
    http = client(Number(application.firstLine));
  };
  const stop = async (signal: NodeJS.Signals): Promise<void> => {
    http?.close();
    await end(application, signal);
    await end(database, signal === "SIGTERM" ? options.databaseSignal : signal);
  };
  return {
    name: options.name,
    durability: options.durability,
    versions: options.versions,
    async start() {
      database = await options.startDatabase();
      await startApplication();
    },
    run: async (id) => http?.post("/runs", id),
    begin: async (id) => http?.post("/starts", id),
    stop: () => stop("SIGTERM"),
    async kill(what) {
      if (what === "everything") await stop("SIGKILL");
      else {
        http?.close();
        await end(application, "SIGKILL");
      }
    },
    async restart() {
      const isServed = database?.child.exitCode === null && database.child.signalCode === null;
      if (!isServed) database = await options.startDatabase();
      await startApplication();
    },
    memory: () => ({
      allMb: treeMemoryMb(database) + treeMemoryMb(application),
      applicationMb: treeMemoryMb(application),
    }),
    async close() {
      await stop("SIGKILL");
      options.remove();
    },
  };
}

export async function bullmq(counterPort: number): Promise<Engine> {
  const data = temporary("redis");
  const port = await freePort();
  const version = /v=(\S+)/.exec(execFileSync("redis-server", ["--version"], { encoding: "utf8" }))?.[1];
  return applicationOn({
    name: "BullMQ",
    durability: "Redis with appendonly yes, appendfsync always",
    versions: { bullmq: versionOf("bullmq"), redis: version ?? "" },
    startDatabase: () =>
      daemon(
        "redis-server",
        ["--port", String(port), "--bind", "127.0.0.1", "--dir", data]
          .concat(["--appendonly", "yes", "--appendfsync", "always", "--save", ""])
          .concat(["--maxmemory-policy", "noeviction"]),
        { port },
      ),
    startApplication: () =>
      daemon(...appCommand("bullmq.mjs", String(port), String(counterPort)), { line: true }),
    databaseSignal: "SIGTERM",
    remove: () => rmSync(data, { recursive: true, force: true }),
  });
}

export async function dbos(counterPort: number): Promise<Engine> {
  const data = temporary("postgres");
  const port = await freePort();
  const postgres = postgresCommand();
  // PostgreSQL refuses to run as root.
  const user = process.getuid?.() === 0 ? accountOf("postgres") : null;
  if (user !== null) chownSync(data, user.uid, user.gid);
  const cluster = path.join(data, "cluster");
  const options = { ...user, env: { ...process.env, LC_ALL: "C" }, cwd: data };
  const initdb = path.join(path.dirname(postgres), "initdb");
  execFileSync(initdb, ["-D", cluster, "-U", "bench", "-A", "trust", "-E", "UTF8"], {
    ...options,
    stdio: "ignore",
  });
  const version = execFileSync(postgres, ["--version"], { encoding: "utf8" }).trim().split(" ").at(-1);
  return applicationOn({
    name: "DBOS",
    durability: "PostgreSQL with fsync and synchronous_commit on (defaults)",
    versions: { "@dbos-inc/dbos-sdk": versionOf("@dbos-inc/dbos-sdk"), postgresql: version ?? "" },
    startDatabase: async () => {
      // A server that was killed leaves its place, and the new one takes it over.
      const started = await daemon(
        postgres,
        ["-D", cluster, "-p", String(port), "-k", data, "-c", "listen_addresses=127.0.0.1"],
        { port },
        options,
      );
      await accepts(path.join(path.dirname(postgres), "pg_isready"), port);
      return started;
    },
    startApplication: () =>
      daemon(
        ...appCommand("dbos.mjs", `postgresql://bench@127.0.0.1:${port}/bench_dbos_sys`, String(counterPort)),
        { line: true },
      ),
    databaseSignal: "SIGINT",
    remove: () => rmSync(data, { recursive: true, force: true }),
  });
}

async function accepts(isReady: string, port: number): Promise<void> {
  for (;;) {
    try {
      execFileSync(isReady, ["-h", "127.0.0.1", "-p", String(port), "-q"]);
      return;
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }
}

function postgresCommand(): string {
  const found = globSync("/usr/lib/postgresql/*/bin/postgres").toSorted().at(-1);
  if (found === undefined || !existsSync(found))
    throw new Error("Install PostgreSQL: apt-get install postgresql");
  return found;
}

function accountOf(name: string): { readonly uid: number; readonly gid: number } {
  const id = (flag: string): number => Number(execFileSync("id", [flag, name], { encoding: "utf8" }));
  return { uid: id("-u"), gid: id("-g") };
}
