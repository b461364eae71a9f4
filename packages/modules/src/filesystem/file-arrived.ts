// Arrivals: an event for every version of a file that appears in a folder and has been still for the settle time.
//   A1  The folder itself is the truth: it is listed at the start, on every notice of the system and every `rescanMs`. So nothing that
//       arrived while nobody listened is missed, and files that lay there when a program was first deployed count as arrived.
//   A2  A version is name, inode, size and time of change. Its key never repeats; `seen` keeps it from being reported twice, also after a restart.
//   A3  Still means: the version did not change between looks over the settle time, by the clock that never goes back.
//   A4  Not files: folders, links, pipes, hidden names, and names of downloads and writes in progress (`.tmp`, `.part`, `~` …).
import { createHash } from "node:crypto";
import { lstatSync, readdirSync, watch, type FSWatcher } from "node:fs";
import type { SourceDefinition, WorkspaceContext } from "@writ/core/capability";
import { capabilityId, eventId } from "@writ/core/ids";
import type { EventSource, Sighting, SourceSession } from "@writ/core/ports";
import { parse, Type } from "@writ/core/schema";
import { rescanMs, settleMsDefault } from "../limits.ts";
import { fault } from "../faults.ts";
import { openFolder, type Folder } from "./contained.ts";
import { matchesGlob } from "./glob.ts";
import { folderPath } from "./params.ts";

const Config = Type.Object(
  {
    folder: folderPath,
    /** `*.csv`; a bare word such as `csv` means the ending. Case is ignored. */
    pattern: Type.Optional(Type.String({ minLength: 1, maxLength: 255, default: "*" })),
  },
  { additionalProperties: false },
);

const definition: SourceDefinition = {
  id: capabilityId("filesystem.file_arrived@1.0.0"),
  summary: {
    en: "A file has arrived in a folder and is no longer being written",
    fr: "Un fichier est arrivé dans un dossier et n'est plus en cours d'écriture",
  },
  config: Config,
  event: Type.Object(
    {
      name: Type.String({ maxLength: 255, "x-language": "basename" }),
      path: Type.String({ maxLength: 4096, "x-language": "path", "x-path": "file" }),
      folder: Type.String({ maxLength: 4096, "x-language": "path", "x-path": "folder" }),
      sizeBytes: Type.Integer({ minimum: 0 }),
      modifiedMs: Type.Integer(),
    },
    { additionalProperties: false },
  ),
  phrases: {
    en: ["a file arrives in {folder}", "a {pattern} file arrives in {folder}"],
    fr: ["un fichier arrive dans {folder}", "un fichier {pattern} arrive dans {folder}"],
  },
  labels: ["origin:event"],
};

export const fileArrived: EventSource = {
  definition,
  async start(options) {
    const config = parse(Config, options.config, "the configuration of filesystem.file_arrived");
    return new ArrivalSession(options, config.folder, patternOf(config.pattern ?? "*")).begin();
  },
};

/** `csv` → `*.csv` */
function patternOf(pattern: string): string {
  return /^[A-Za-z0-9]+$/.test(pattern) ? `*.${pattern}` : pattern;
}

/** Notices within this time are taken together. */
const noticeMs = 20;

interface Version {
  readonly name: string;
  readonly key: string;
  readonly sizeBytes: number;
  readonly modifiedMs: number;
}

class ArrivalSession implements SourceSession {
  readonly #options: Parameters<EventSource["start"]>[0];
  readonly #folder: string;
  readonly #pattern: string;
  readonly #settleMs: number;
  /** Versions that are not yet still, by name, with the monotonic time they were first seen. */
  readonly #settling = new Map<string, { readonly key: string; readonly sinceMs: number }>();
  /** Names whose present version was reported or had been before. */
  readonly #reported = new Map<string, string>();
  #lastProblem = "";
  /** Unusable names already told. */
  readonly #badNames = new Set<string>();
  readonly #stopped = new AbortController();
  #wake = new AbortController();
  #watcher: FSWatcher | null = null;
  #loop: Promise<void> = Promise.resolve();
  #reportedCount = 0;

  constructor(options: Parameters<EventSource["start"]>[0], folder: string, pattern: string) {
    this.#options = options;
    this.#folder = folder;
    this.#pattern = pattern;
    this.#settleMs = options.workspace.file.settleMs ?? settleMsDefault;
  }

  /** @throws filesystem.folder-missing when the folder is not there at the start */
  begin(): this {
    openFolder(this.#options.workspace.root, this.#folder)[Symbol.dispose]();
    this.#loop = this.#run();
    return this;
  }

  async stop(): Promise<void> {
    this.#stopped.abort();
    this.#wake.abort();
    await this.#loop;
  }

  async #run(): Promise<void> {
    while (!this.#stopped.signal.aborted) {
      this.#wake = new AbortController();
      let delayMs = rescanMs;
      try {
        delayMs = await this.#look();
        this.#lastProblem = "";
      } catch (error) {
        this.#problemOnce(error);
      }
      if (this.#stopped.signal.aborted) break;
      try {
        await this.#options.world.sleep(delayMs, this.#wake.signal);
      } catch (error) {
        if (!this.#wake.signal.aborted) throw error;
        // A large file being written raises a storm of notices.
        if (!this.#stopped.signal.aborted) await this.#options.world.sleep(noticeMs);
      }
    }
    this.#watcher?.close();
  }

  /** One look at the folder: reports what is still. Resolves with the time until the next look is due. */
  async #look(): Promise<number> {
    const versions = this.#list();
    const nowMs = this.#options.world.monotonicMs();
    const due: Version[] = [];
    let nextMs = rescanMs;
    const names = new Set(versions.map((version) => version.name));
    for (const name of this.#settling.keys()) if (!names.has(name)) this.#settling.delete(name);
    for (const name of this.#reported.keys()) if (!names.has(name)) this.#reported.delete(name);
    for (const version of versions) {
      if (this.#reported.get(version.name) === version.key) continue;
      if (this.#options.seen(version.key)) {
        this.#reported.set(version.name, version.key);
        continue;
      }
      const settling = this.#settling.get(version.name);
      const sinceMs = settling?.key === version.key ? settling.sinceMs : nowMs;
      if (settling?.key !== version.key) this.#settling.set(version.name, { key: version.key, sinceMs });
      const leftMs = this.#settleMs - (nowMs - sinceMs);
      if (leftMs <= 0) due.push(version);
      else nextMs = Math.min(nextMs, leftMs);
    }
    for (const version of due) {
      if (this.#stopped.signal.aborted) break;
      await this.#options.report(this.#sighting(version));
      this.#settling.delete(version.name);
      this.#reported.set(version.name, version.key);
    }
    return nextMs;
  }

  /** Oldest change first, so that files are reported in the order they came. */
  #list(): readonly Version[] {
    using folder = openFolder(this.#options.workspace.root, this.#folder);
    this.#watch(folder);
    const versions: Version[] = [];
    for (const bytes of readdirSync(folder.child("."), { encoding: "buffer" })) {
      const name = nameOf(bytes);
      if (name === null) {
        this.#badName(bytes.toString("hex").slice(0, 510));
        continue;
      }
      if (isPartial(name) || !matchesGlob(name, this.#pattern)) continue;
      const stat = lstatSync(folder.child(name), { throwIfNoEntry: false, bigint: true });
      if (stat === undefined || !stat.isFile()) continue;
      const parts = [folder.relative, name, String(stat.ino), String(stat.size), String(stat.mtimeNs)];
      versions.push({
        name,
        key: createHash("sha256").update(parts.join("\0")).digest("hex"),
        sizeBytes: Number(stat.size),
        modifiedMs: Number(stat.mtimeMs),
      });
    }
    return versions.toSorted((a, b) => a.modifiedMs - b.modifiedMs || (a.name < b.name ? -1 : 1));
  }

  /** Notices of the system only hasten the next look. Without them (network file systems) the rescan does the work. */
  #watch(folder: Folder): void {
    if (this.#watcher !== null) return;
    try {
      const watcher = watch(folder.child("."), { persistent: true }, () => this.#wake.abort());
      watcher.on("error", () => {
        watcher.close();
        if (this.#watcher === watcher) this.#watcher = null;
      });
      this.#watcher = watcher;
    } catch (error) {
      this.#problemOnce(error);
    }
  }

  #sighting(version: Version): Sighting {
    const { workspace, world } = this.#options;
    const path = `${this.#folder.replace(/^(\.\/)+|\/+$/g, "")}/${version.name}`.replace(/^\.?\//, "");
    return {
      event: {
        specversion: "1.0",
        id: eventId(`file-${version.key}`),
        source: sourceUri(workspace, this.#folder),
        type: "filesystem.file_arrived",
        time: new Date(world.nowMs()).toISOString(),
        subject: path,
        data: {
          name: version.name,
          path,
          folder: this.#folder,
          sizeBytes: version.sizeBytes,
          modifiedMs: version.modifiedMs,
        },
      },
      cursor: { reported: ++this.#reportedCount, last: version.key },
      key: version.key,
    };
  }

  /** The same trouble is told once, until a look succeeds. */
  #problemOnce(error: unknown): void {
    if (this.#lastProblem === String(error)) return;
    this.#lastProblem = String(error);
    this.#options.problem(error);
  }

  #badName(nameHex: string): void {
    if (this.#badNames.has(nameHex) || this.#badNames.size >= badNamesMax) return;
    this.#badNames.add(nameHex);
    this.#options.problem(
      fault("filesystem.path-control", "Cannot use a file whose name is not plain UTF-8 text", {
        folder: this.#folder,
        nameHex,
      }),
    );
  }
}

const badNamesMax = 1000;

function sourceUri(workspace: WorkspaceContext, folder: string): string {
  return `/sources/${encodeURIComponent(workspace.name)}/${folder.split("/").map(encodeURIComponent).join("/")}`;
}

/** The name as text, or null when it is not UTF-8, holds control characters or a backslash: no path could name it. */
function nameOf(bytes: Buffer): string | null {
  const name = bytes.toString("utf8");
  // oxlint-disable-next-line no-control-regex
  return Buffer.from(name, "utf8").equals(bytes) && !/[\u0000-\u001f\u007f-\u009f\u2028\u2029\\]/.test(name)
    ? name
    : null;
}

function isPartial(name: string): boolean {
  return (
    name.startsWith(".") ||
    name.startsWith("~$") ||
    /(~|\.(tmp|part|partial|crdownload|download|swp|filepart))$/i.test(name)
  );
}
