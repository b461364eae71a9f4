// What the terminal shows when a node starts: at the first start, the story on the example in less than a screen.

import { printableLine } from "@writ/core/printable";

export interface GuideFacts {
  readonly url: string;
  readonly data: string;
  readonly version: string;
  /** Of the process, for who wants to end it without asking. */
  readonly pid: number;
  readonly ownerToken: string | undefined;
  readonly exampleRoot: string | undefined;
  readonly recovered: { readonly runs: number; readonly held: number };
  /** Names and fault codes of programs that were not armed. */
  readonly broken: readonly string[];
}

export function guide(facts: GuideFacts): string {
  return facts.ownerToken === undefined ? startLines(facts) : firstStart(facts, facts.ownerToken);
}

function startLines({ url, data, version, pid, recovered, broken }: GuideFacts): string {
  const lines = [`Writ ${version} at ${url}, data in ${data}, process ${pid}`];
  if (recovered.runs > 0)
    lines.push(
      `${recovered.runs} runs go on where they stopped, ${recovered.held} of them held for a person`,
    );
  lines.push(...broken.map((what) => `not armed: ${printableLine(what)}`));
  lines.push(`A lost token is replaced with: bin/writ token new --data ${shellWord(data)}`);
  return lines.join("\n");
}

function firstStart({ url, data, version, pid, exampleRoot }: GuideFacts, token: string): string {
  const root = exampleRoot ?? "FOLDER";
  return `Writ ${version} at ${url}, data in ${data}, process ${pid}

Your token, shown this once (you are the owner):

    ${token}

In a second terminal, in this folder:

    bin/writ login ${token} \\
      --url ${url}
    bin/writ person add anna --role accountant        # prints anna's token
    bin/writ compile examples/invoices.en.rule        # text, graph, proof, HASH
    bin/writ approve HASH
    bin/writ deploy HASH
    cd ${shellWord(root)} && cp samples/high-machine-parts.csv inbox/ && cd -
    bin/writ runs                                     # one waits for the accountant
    bin/writ approvals --token ANNAS-TOKEN
    bin/writ approvals approve ID --token ANNAS-TOKEN
    bin/writ run show RUN                             # what was done
    bin/writ undo RUN                                 # and taken back
    bin/writ ledger verify

Your own folder: bin/writ workspace add FOLDER. Ctrl-C stops the node; everything goes on at the next start.`;
}

/** The text as one word of a shell's command line. */
function shellWord(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
