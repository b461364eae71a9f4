// The example workspace on a real node, with its people: what most end-to-end tests begin with.
import { copyFileSync, existsSync, readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import path from "node:path";
import type { Approval, RunDetail, RunSummary } from "@writ/core/api";
import { startReceiver, type Receiver } from "./receiver.ts";
import { eventually, NodeProcess, root, type Finished } from "./node-process.ts";

export const samples = path.join(root, "examples", "workspace", "samples");

export class Story implements AsyncDisposable {
  readonly node: NodeProcess;
  readonly workspace: string;
  readonly receiver: Receiver;
  readonly tokens: { readonly owner: string; readonly accountant: string; readonly agent: string };

  private constructor(node: NodeProcess, workspace: string, receiver: Receiver, tokens: Story["tokens"]) {
    this.node = node;
    this.workspace = workspace;
    this.receiver = receiver;
    this.tokens = tokens;
  }

  /** A node with the example workspace, an accountant called anna and an agent called helper; the receiver on a free port. */
  static async begin(): Promise<Story> {
    const receiver = await startReceiver();
    const node = await NodeProcess.start();
    const client = node.client();
    const { workspaces } = await client.call("listWorkspaces", {});
    const workspace = workspaces.find(({ name }) => name === "invoices")?.root;
    if (workspace === undefined) throw new Error("the node has no example workspace");
    const file = path.join(workspace, "workspace.json");
    writeFileSync(file, readFileSync(file, "utf8").replace("127.0.0.1:3999", `127.0.0.1:${receiver.port}`));
    await client.call("addWorkspace", { body: { root: workspace, confirm: true } });
    const anna = await client.call("addPerson", { body: { id: "anna", roles: ["accountant"] } });
    const helper = await client.call("addPerson", { body: { id: "helper", roles: ["agent"] } });
    const tokens = { owner: node.token, accountant: anna.token, agent: helper.token };
    return new Story(node, workspace, receiver, tokens);
  }

  /** Compiles, approves and deploys a rule; its hash. */
  async deploy(text: string, language: "en" | "fr" = "en"): Promise<string> {
    const client = this.node.client();
    const outcome = await client.call("compileProgram", { body: { kind: "rule", text, language } });
    if (outcome.kind !== "compiled")
      throw new Error(`it does not compile: ${JSON.stringify(outcome, undefined, 2)}`);
    const params = { hash: outcome.program.hash };
    await client.call("approveProgram", { params, body: {} });
    await client.call("deployProgram", { params, body: {} });
    return params.hash;
  }

  /** Copies a sample into the inbox under a name, all at once. */
  drop(sample: string, name = sample): void {
    const aside = path.join(this.workspace, `.${name}.part`);
    copyFileSync(path.join(samples, sample), aside);
    renameSync(aside, path.join(this.workspace, "inbox", name));
  }

  at(place: string): string {
    return path.join(this.workspace, place);
  }

  has(place: string): boolean {
    return existsSync(this.at(place));
  }

  read(place: string): string {
    return readFileSync(this.at(place), "utf8");
  }

  names(folder: string): readonly string[] {
    return existsSync(this.at(folder))
      ? readdirSync(this.at(folder)).filter((name) => !name.startsWith("."))
      : [];
  }

  /** Lines of the journal that speak of the file. */
  journalled(name: string): readonly string[] {
    if (!this.has("journal.csv")) return [];
    return this.read("journal.csv")
      .split(/\r?\n/)
      .filter((line) => line.includes(name));
  }

  /** A copy of an example plan, with the receiver's port. */
  planFile(name: string): string {
    const target = path.join(this.node.folder, name);
    const text = readFileSync(path.join(root, "examples", "plans", name), "utf8");
    writeFileSync(target, text.replaceAll("127.0.0.1:3999", `127.0.0.1:${this.receiver.port}`));
    return target;
  }

  /** The run that the file's arrival started, once it is in one of the states. */
  async runOf(name: string, ...statuses: readonly RunSummary["status"][]): Promise<RunDetail> {
    const client = this.node.client();
    let seen = "no run";
    const found = await eventually(
      async () => {
        const { runs } = await client.call("listRuns", { query: { limit: 500 } });
        for (const { id } of runs) {
          const run = await client.call("getRun", { params: { run: id } });
          if (!JSON.stringify(run.eventData).includes(name)) continue;
          seen = `${run.status} ${JSON.stringify({ fault: run.fault, steps: run.steps, entries: run.entries })}`;
          if (statuses.includes(run.status)) return run;
        }
        return undefined;
      },
      `a run of ${name} that is ${statuses.join(" or ")}`,
    ).catch((error: unknown) => {
      throw new Error(`${String(error)}; it was ${seen}`);
    });
    return found;
  }

  async approvalOf(run: string): Promise<Approval> {
    const client = this.node.client();
    return eventually(async () => {
      const { approvals } = await client.call("listApprovals", { query: {} });
      return approvals.find((approval) => approval.run === run);
    }, `an approval that ${run} waits for`);
  }

  async ended(run: string): Promise<RunDetail> {
    const client = this.node.client();
    return eventually(async () => {
      const found = await client.call("getRun", { params: { run } });
      return found.endedAtMs === null || found.status === "undoing" ? undefined : found;
    }, `the end of ${run}`);
  }

  writ(...args: readonly string[]): Promise<Finished> {
    return this.node.writ(...args);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.node[Symbol.asyncDispose]();
    await this.receiver[Symbol.asyncDispose]();
  }
}

/** Standard output as JSON, when the command ended well. */
export function answerOf<T>(finished: Finished, code = 0): T {
  if (finished.code !== code) throw new Error(`exit ${finished.code}: ${finished.error}${finished.out}`);
  return JSON.parse(finished.out) as T;
}
