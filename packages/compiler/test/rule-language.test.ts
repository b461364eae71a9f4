import { expect, test } from "vitest";
import type { CapabilityDefinition, Language } from "@writ/core/capability";
import { Type } from "@writ/core/schema";
import { capabilityId } from "@writ/core/ids";
import { ruleCompiler, type RuleOutcome } from "@writ/compiler/rule";
import { renderProgramText, renderTree } from "@writ/compiler/render";
import { encodeProgram } from "@writ/core/program-codec";
import { catalog } from "./catalog.ts";

const notify: CapabilityDefinition = {
  id: capabilityId("notice.tell@1.0.0"),
  summary: { en: "Tells somebody", fr: "Prévient quelqu'un" },
  params: Type.Object({ role: Type.String({ maxLength: 64 }), message: Type.String({ maxLength: 1000 }) }),
  result: Type.Object({}),
  effect: { kind: "irreversible", approval: "listed" },
  resources: [{ kind: "person", param: "role", does: "send" }],
  crash: "neither",
  risk: "low",
  criticality: "safe",
  permission: "notice.tell",
  labels: [],
  phrases: {
    en: ["notify {role} {message}"],
    fr: ["préviens {role} {message}", "prévenir {role} {message}"],
  },
  timeoutMs: 1000,
  resultBytesMax: 100,
  retryOn: [],
};
const compiler = ruleCompiler(catalog);

function compile(text: string, language?: Language): Extract<RuleOutcome, { kind: "compiled" }> {
  const outcome = compiler.compile(language === undefined ? { text } : { text, language });
  if (outcome.kind !== "compiled") throw new Error(`${text}\n${JSON.stringify(outcome, null, 1)}`);
  return outcome;
}

function bytes(text: string): string {
  return encodeProgram(compile(text).program).join();
}

function readings(text: string): readonly string[] {
  const outcome = compiler.compile({ text });
  if (outcome.kind !== "ambiguous") throw new Error(`${text}\n${JSON.stringify(outcome, null, 1)}`);
  return outcome.readings.map((reading) => reading.text.en);
}

const en = "When a CSV file arrives in the inbox, ";
const fr = "Quand un fichier CSV arrive dans la boîte de réception, ";

test.each([
  ["déplace-le vers approuvés.", "move it to approved."],
  ["déplace le fichier vers le dossier approuvés.", "move it to approved."],
  ["déplacer le fichier dans approuvés.", "move it to approved."],
  ["le déplacer vers approuvés.", "move it to approved."],
  ["lis-le, puis supprime-le.", "read it, then delete it."],
  ["lire le fichier et ensuite le supprimer.", "read it, then delete it."],
  ["ajoute l’heure à journal.csv.", "append the time to journal.csv."],
  ["ajouter l'heure au journal.", "append the time to the journal."],
  [
    "demande l'approbation de l'opérateur dans les 2 heures puis lis-le.",
    "ask the operator for approval within 2 hours and then read it.",
  ],
  [
    "avec l'approbation du comptable sous 1 jour, lis-le.",
    "with the approval of the accountant within 1 day, read it.",
  ],
  ["demande l'accord du comptable puis lis-le.", "ask for the accountant's approval and then read it."],
  [
    "si la somme de « amount » est de plus de 5 EUR, lis-le.",
    'if the sum of "amount" is higher than 5 EUR, read it.',
  ],
  [
    "demande au comptable son accord sous 2 jours puis lis-le.",
    "ask the accountant for approval within 2 days and then read it.",
  ],
  [
    "si la somme de montant est supérieure à 5 EUR et inférieure à 9 EUR, lis-le.",
    "if the sum of amount is above 5 EUR and below 9 EUR, read it.",
  ],
  ["lis-le. N’écris jamais en dehors de l’espace de travail.", "read it. Never write outside the workspace."],
  ["lis-le. Ne jamais écrire hors de l'espace de travail.", "read it. Never write outside the workspace."],
  ["lis-le. Ne supprime jamais rien.", "read it. Never delete anything."],
  ["lis-le. Ne jamais supprimer de fichiers.", "read it. Never delete files."],
  ["lis-le. N'appelle jamais filesystem.delete_file.", "read it. Never call filesystem.delete_file."],
  [
    "si la somme de «\u00a0amount\u00a0» dépasse 10\u00a0000,50\u00a0€, lis-le.",
    'if the sum of "amount" is above 10 000.50 EUR, read it.',
  ],
  [
    "si la somme de « montant » est supérieure à 10\u202f000,5 euros, lis-le.",
    'if the total of "amount" exceeds 10000.5 EUR, read it.',
  ],
  [
    "si la somme de « amount » n'est pas au moins 5 EUR, lis-le.",
    'if the sum of "amount" is not at least 5 EUR, read it.',
  ],
  [
    "si la somme de « weight » est au plus 2 t, lis-le.",
    'if the sum of "weight" is at most 2000 kg, read it.',
  ],
  [
    "si soit son nom est « a », soit son nom est « b », lis-le.",
    'if either its name is "a" or its name is "b", read it.',
  ],
])("R2 %s says the same as its English twin", (french, english) => {
  expect(bytes(fr + french)).toBe(bytes(en + english));
});

test.each([
  ["10 000", "10000"],
  ["10\u00a0000", "10000"],
  ["10\u202f000", "10000"],
  ["1,000,000", "1000000"],
  ["1,234.5", "1234.5"],
  ["10,50", "10.5"],
  ["0.10", "0.1"],
  ["0,125", "0.125"],
  ["-5", "-5"],
  ["123456789012345678901234567890.12", "123456789012345678901234567890.12"],
])("R13 the number %s is exactly %s", (written, value) => {
  const { program } = compile(`${en}if the sum of "amount" is above ${written} EUR, read it.`);
  const shown = renderProgramText(program);
  expect(shown).toMatch(
    new RegExp(`sum > (decimal\\("${value.replace(".", "\\.")}"\\)|${value.replace(".", "\\.")})$`, "m"),
  );
});

test("K8 a comma before three digits may separate thousands or decimals: both are shown", () => {
  expect(readings(`${en}if the sum of "amount" is above 10,000 EUR, read it.`)).toEqual([
    expect.stringContaining("10 000 EUR"),
    expect.stringContaining("10 EUR"),
  ]);
  expect(readings(`${fr}si la somme de « amount » dépasse 10.000 EUR, lis-le.`)).toHaveLength(2);
});

test("R13 a language's own mark before three digits of money is a question, and nowhere else", () => {
  expect(readings(`${en}if the sum of "amount" is above 10.000 EUR, read it.`).toSorted()).toEqual([
    expect.stringContaining("10 000 EUR"),
    expect.stringContaining("10 EUR"),
  ]);
  expect(readings(`${en}if the sum of "amount" is above -1.125 EUR, read it.`).toSorted()).toEqual([
    expect.stringContaining("-1 125 EUR"),
    expect.stringContaining("-1.1250 EUR"),
  ]);
  expect(readings(`${fr}si la somme de « amount » dépasse 10,000 EUR, lis-le.`)).toHaveLength(2);
  for (const clear of ["10.00", "0.125", "1.1250", "1 234.567", "1000.125"])
    expect(compile(`${en}if the sum of "amount" is above ${clear} EUR, read it.`).kind).toBe("compiled");
  expect(compile(`${en}if its size is above 1.125 kB, read it.`).kind).toBe("compiled");
});

test("K8 mixed and/or is a question; parentheses and `either` answer it", () => {
  const [a, b, c] = ['its name is "a"', 'its name is "b"', 'its name is "c"'];
  expect(readings(`${en}if ${a} and ${b} or ${c}, read it.`)).toHaveLength(2);
  expect(compile(`${en}if (${a} and ${b}) or ${c}, read it.`).kind).toBe("compiled");
  expect(compile(`${en}if ${a} and either ${b} or ${c}, read it.`).kind).toBe("compiled");
  expect(bytes(`${en}if ${a} and (${b} or ${c}), read it.`)).toBe(
    bytes(`${en}if ${a} and either ${b} or ${c}, read it.`),
  );
  expect(bytes(`${en}if (${a} and ${b}) or ${c}, read it.`)).not.toBe(
    bytes(`${en}if ${a} and (${b} or ${c}), read it.`),
  );
});

test("K8 a step after an `if` is inside or after it: a question, with the words that differ", () => {
  const text = `${en}if its name is "a", read it; delete it.`;
  const outcome = compiler.compile({ text });
  expect(outcome.kind).toBe("ambiguous");
  if (outcome.kind !== "ambiguous") return;
  expect(outcome.readings.map((reading) => reading.text)).toEqual([
    {
      en: expect.stringContaining("(read the file, then delete the file)."),
      fr: expect.stringContaining("(lis le fichier, puis supprime le fichier)."),
    },
    {
      en: expect.stringContaining("read the file. Delete the file."),
      fr: expect.stringContaining("lis le fichier. Supprime le fichier."),
    },
  ]);
  for (const { differsAt } of outcome.readings) {
    expect(differsAt.length).toBeGreaterThan(0);
    for (const [start, end] of differsAt) expect(text.slice(start, end)).toContain("read it");
  }
});

test("K8 an `otherwise` that two conditions could own is a question", () => {
  const [a, b] = ['its name is "a"', 'its name is "b"'];
  expect(readings(`${en}if ${a}, if ${b}, read it; otherwise delete it.`)).toHaveLength(2);
  expect(readings(`${en}if ${a}, if ${b}, read it. Otherwise, delete it.`)).toHaveLength(2);
});

test("K8 `it` after another file was named is a question", () => {
  expect(readings(`${en}append the time to journal.csv, then delete it.`)).toEqual([
    expect.stringContaining("Delete the file."),
    expect.stringContaining("Delete journal.csv."),
  ]);
});

test("K8 `the sum` after two sums is a question", () => {
  const text = `${en}append a line with the sum of "amount" and the sum of "weight" to journal.csv. Append the sum to journal.csv.`;
  expect(readings(text)).toHaveLength(2);
});

test("K8 two verbs of one name are a question when forbidden", () => {
  expect(readings(`${en}read it. Never append anything.`)).toEqual([
    expect.stringContaining("Never call filesystem.append_file."),
    expect.stringContaining("Never call csv.append_row."),
  ]);
});

test("R14 `otherwise` answers the `if`, an approval inside it says `if refused`", () => {
  const { program } = compile(
    `${en}if its name is "a", ask the owner for approval and then read it; if refused, delete it; otherwise copy it to archive.`,
  );
  expect(renderProgramText(program)).toContain("if refused");
  const alone = compile(`${en}ask the owner for approval and then read it; otherwise delete it.`);
  expect(renderProgramText(alone.program)).toContain("if refused");
});

test("R15 after a move the file is spoken of where it is now", () => {
  const shown = renderProgramText(compile(`${en}move it to approved. Copy it to archive.`).program);
  expect(shown).toContain(
    'copy_file@1.0.0 destination = "archive/" + event.data.name, source = "approved/" + event.data.name',
  );
  const renamed = renderProgramText(compile(`${en}move it to archive/last.csv. Copy it to reports.`).program);
  expect(renamed).toContain('destination = "reports/last.csv", source = "archive/last.csv"');
});

test("R15 after branches that disagree the condition decides once more where the file is", () => {
  const text = `${en}if the sum of "amount" is above 5 EUR, move it to approved; otherwise move it to rejected. Copy it to archive.`;
  expect(renderProgramText(compile(text).program)).toContain(
    'source = aggregate_1.sum > 5 ? "approved/" + event.data.name : "rejected/" + event.data.name',
  );
});

test("R16 the same read of the same file is one step, until the file is changed", () => {
  const once = `${en}if the sum of "amount" is above 5 EUR, read it. Append the sum of "amount" and the maximum of "amount" to journal.csv.`;
  const listed = once.replace("Append the sum", "Append a line with the sum");
  expect(renderProgramText(compile(listed).program).match(/load csv\.aggregate/gu)).toHaveLength(1);
  const changed = `${en}append the sum of "amount" to journal.csv. Append "x" to the file. Append the sum to journal.csv.`;
  expect(renderProgramText(compile(changed).program).match(/load csv\.aggregate/gu)).toHaveLength(2);
});

test("R16 what is read inside a block is read again outside it", () => {
  const text = `${en}if its name is "a", append the sum of "amount" to journal.csv. Append the sum to journal.csv.`;
  expect(renderProgramText(compile(text).program).match(/load csv\.aggregate/gu)).toHaveLength(2);
});

test("R17 24:00 of a day is midnight at its end; a time that is none is said to be none", () => {
  const write = 'write "x" to reports/a.txt.';
  const cron = (time: string) => {
    const { trigger } = compile(`At ${time}, ${write}`).program;
    return trigger.kind === "source" ? trigger.config["cron"] : null;
  };
  expect(cron("24:00 on Mondays")).toBe("0 0 * * 2");
  expect(cron("24:00 on Saturdays")).toBe("0 0 * * 0");
  expect(cron("0:00 on Mondays")).toBe("0 0 * * 1");
  expect(cron("24:00")).toBe("0 0 * * *");
  expect(
    compile(`${en}${"copy it to archive."} Only between 20:00 and 24:00 on Mondays.`).program.windows,
  ).toEqual([expect.objectContaining({ fromMinute: 1200, toMinute: 0, days: [1] })]);
  expect(cron("11 pm")).toBe("0 23 * * *");
  expect(cron("5 o'clock")).toBe("0 5 * * *");
  expect(cron("5 o’clock on Mondays")).toBe("0 5 * * 1");
  for (const time of ["24:30", "12 am", "12 pm", "0 pm", "25 o'clock"]) {
    const outcome = compiler.compile({ text: `At ${time}, ${write}` });
    expect(outcome.kind === "rejected" && outcome.problems.map(({ code }) => code), time).toEqual([
      "rule.value",
    ]);
  }
});

test("R17 a limit that would be dropped or widened is refused by name", () => {
  const refused = (text: string) => {
    const outcome = compiler.compile({ text });
    return outcome.kind === "rejected" ? outcome.problems.map(({ code }) => code) : outcome.kind;
  };
  const copy = `copy it to archive.`;
  for (const text of [
    'On request, write "x" to reports/a.txt. At most once per hour.',
    'On request, write "x" to reports/a.txt. Only between 8:00 and 18:00.',
    "When a CSV file arrives in the inbox and the time is between 8:00 and 18:00 and the time is between 12:00 and 14:00, " +
      copy,
    `When a CSV file arrives in the inbox and the time is between 8:00 and 18:00, ${copy} Only between 12:00 and 14:00.`,
  ])
    expect(refused(text), text).toEqual(["rule.unsupported"]);
  expect(compile('On request, write "x" to reports/a.txt. Priority low.').program.priority).toBe("low");
  expect(
    compile(`${en}${copy} Only between 8:00 and 12:00. Only between 14:00 and 18:00.`).program.windows,
  ).toHaveLength(2);
});

test("R17 a condition on the event is the trigger's filter, one that needs a read decides inside the run", () => {
  const text =
    'When a CSV file arrives in the inbox and its size is above 1 kB and the sum of "amount" is above 5 EUR, delete it.';
  const { program } = compile(text);
  expect(program.trigger).toMatchObject({ filter: "event.data.sizeBytes > 1000" });
  expect(renderProgramText(program)).toContain("if aggregate_1.sum > 5");
});

test.each([
  ["If a CSV file arrives in the inbox: read it.", `${en}read it.`],
  ["Chaque lundi à 8h30, lis journal.csv.", "On Monday at 8:30, read journal.csv."],
  ["Tous les jours à 8 h, lis journal.csv.", "Every day at 8 am, read journal.csv."],
  ["Chaque heure, lis journal.csv.", "Every hour, read journal.csv."],
  ["À midi le week-end, lis journal.csv.", "At noon on weekends, read journal.csv."],
])("R17 the trigger of %s is that of %s", (one, other) => {
  expect(bytes(one)).toBe(bytes(other));
});

test("R18 a hold is how long the trigger's condition must last", () => {
  expect(
    compile("When a file arrives in the inbox and stays there for 90 seconds, read it.").program.trigger,
  ).toMatchObject({
    holdMs: 90_000,
    filter: null,
  });
  expect(
    compile("When a file arrives in the inbox and its size stays above 5 MB for 5 minutes, read it.").program
      .trigger,
  ).toMatchObject({ holdMs: 300_000, filter: "event.data.sizeBytes > 5000000" });
});

test("K38 a window may cross midnight; K39 it carries the workspace's own time zone", () => {
  const { windows } = compile(
    `${en}read it. Only between 10 pm and 6 am on Friday, Saturday and Sunday.`,
  ).program;
  expect(windows).toEqual([{ fromMinute: 1320, toMinute: 360, days: [0, 5, 6], zone: "Europe/Paris" }]);
  const guarded = compile(
    "When a file arrives in the inbox and the time is between 22:00 and 06:00, read it.",
  );
  expect(guarded.program.windows).toEqual([
    { fromMinute: 1320, toMinute: 360, days: [], zone: "Europe/Paris" },
  ]);
});

test("K37 what a rule computes is the product's own expression language", () => {
  const { program } = compile(`${en}if its name contains “" || process.exit() || "”, read it.`);
  expect(renderProgramText(program)).toContain(
    'if contains(event.data.name, "\\" || process.exit() || \\"")',
  );
});

test("R19 independent acts of one list run side by side", () => {
  const { program } = compile(
    `${en}copy it to archive and append the time to journal.csv, then delete the file.`,
  );
  expect(program.body.steps.map(({ after }) => after)).toEqual([[], [], ["s1", "s2"]]);
});

test("R19 acts of a list that depend on each other are a question about their order", () => {
  expect(readings(`${en}read it and move it to approved.`)).toEqual([
    expect.stringContaining("read the file. Move the file"),
    expect.stringContaining("move the file to the approved folder. Read the file."),
  ]);
  expect(readings(`${en}if its name is "a", read it and move it to approved.`)).toHaveLength(2);
  const text = `${en}read it and move it to approved. Wait 1 minute.`;
  const outcome = compiler.compile({ text });
  const differ = outcome.kind === "ambiguous" ? outcome.readings.flatMap(({ differsAt }) => differsAt) : [];
  expect(differ.map((span) => text.slice(...span))).toEqual(
    Array.from({ length: 2 }, () => "read it and move it to approved"),
  );
});

test("R19 what is done to a folder is done to all that is in it", () => {
  const path = Type.String({ maxLength: 4096, "x-path": "folder" });
  const unpack: CapabilityDefinition = {
    ...notify,
    id: capabilityId("filesystem.extract_archive@1.0.0"),
    params: Type.Object({ source: Type.String({ maxLength: 4096, "x-path": "file" }), destination: path }),
    effect: { kind: "write", undo: capabilityId("filesystem.undo_extract@1.0.0") },
    resources: [
      { kind: "file", param: "source", does: "read" },
      { kind: "folder", param: "destination", does: "replace" },
    ],
    phrases: {
      en: ["extract {source} to {destination}"],
      fr: ["extrais {source} dans {destination}", "extraire {source} dans {destination}"],
    },
  };
  const extended = ruleCompiler({ ...catalog, capabilities: [...catalog.capabilities, unpack] });
  const kindOf = (journal: string) =>
    extended.compile({ text: `${en}extract it to approved and append the time to ${journal}.` }).kind;
  expect(kindOf("journal.csv")).toBe("compiled");
  expect(kindOf("approved/list.csv")).toBe("ambiguous");
});

test("R19 an order that cannot be is no reading", () => {
  expect(bytes(`${en}copy it to archive and delete it.`)).toBe(
    bytes(`${en}copy it to archive, then delete it.`),
  );
});

test("R3 a name before a colon is the rule's name and no part of the program", () => {
  const named = compile(`Invoices of the day: ${en}read it.`);
  expect(named.source.name).toBe("Invoices of the day");
  expect(encodeProgram(named.program).join()).toBe(bytes(`${en}read it.`));
});

test("R4 readings that cannot be bound are none, and readings with one program are one", () => {
  // `$` would be two currencies; only one of them is the column's.
  const columns = { amount: { type: "decimal", currency: "CAD" } } as const;
  const twoDollars = ruleCompiler({
    ...catalog,
    workspace: { ...catalog.workspace, currencies: ["USD", "CAD"], tables: { inbox: { columns } } },
  });
  const outcome = twoDollars.compile({ text: `${en}if the sum of "amount" is above $5, read it.` });
  expect(outcome.kind).toBe("compiled");
});

test("R4 two capabilities with one phrase are a question whose listings differ", () => {
  const [first] = catalog.capabilities;
  if (first === undefined) throw new Error("the catalog is empty");
  const twin = ruleCompiler({
    ...catalog,
    capabilities: [...catalog.capabilities, { ...first, id: capabilityId("other.move_file@1.0.0") }],
  });
  const outcome = twin.compile({ text: `${en}move it to approved.` });
  expect(outcome.kind === "ambiguous" && new Set(outcome.readings.map(({ listing }) => listing)).size).toBe(
    2,
  );
});

test("R5 the plural and the key of a name are understood, a name of its own comes first", () => {
  expect(bytes(`${en}move it to report.`)).toBe(bytes(`${en}move it to the reports folder.`));
  expect(bytes(`${fr}déplace-le vers archive.`)).toBe(bytes(`${en}move it to archive.`));
});

test("R10 ids follow the text, and a read stands before its first use", () => {
  const { program } = compile(
    `${en}if its name is "a", copy it to archive. Append the sum of "amount" to journal.csv.`,
  );
  expect(program.body.steps.map(({ id, op }) => [id, op.op])).toEqual([
    ["s1", "branch"],
    ["s3", "load"],
    ["s4", "call"],
  ]);
});

test("R10 what approved steps use is read before the person is asked, as far as the file is unchanged", () => {
  const before = compile(
    `${en}ask the owner for approval and then append the sum of "amount" to journal.csv, then move the file to archive.`,
  );
  expect(before.program.body.steps.map(({ id, op }) => [id, op.op])).toEqual([
    ["s1", "load"],
    ["s2", "approve"],
  ]);
  const moved = compile(
    `${en}ask the owner for approval and then move it to archive, then append the sum of "amount" to journal.csv.`,
  );
  expect(moved.program.body.steps.map(({ op }) => op.op)).toEqual(["approve"]);
});

test("R24 a run may take as long as its waits and people, and its own time besides", () => {
  const { program } = compile(
    `${en}wait 8 weeks, then ask the owner for approval within 10 days and then read it.`,
  );
  const days = 24 * 3_600_000;
  expect(program.runTimeoutMs).toBe((56 + 10 + 7) * days);
});

test("K16 a change of wording keeps the bytes that were approved, a change of meaning does not", () => {
  const approved = bytes(`${en}if the sum of "amount" is above 10 000 EUR, move it to approved.`);
  expect(
    bytes(
      `${en}if the total of "montant" exceeds 10000.00 euros then move the file into the approved folder.`,
    ),
  ).toBe(approved);
  expect(bytes(`${en}if the sum of "amount" is at least 10 000 EUR, move it to approved.`)).not.toBe(
    approved,
  );
});

test("R5 a person is named by role where the catalog has somebody to tell", () => {
  const told = ruleCompiler({
    ...catalog,
    capabilities: [...catalog.capabilities, notify],
  });
  const outcome = told.compile({ text: `${fr}préviens le comptable « fichier reçu ».` });
  expect(outcome.kind === "compiled" && renderProgramText(outcome.program)).toContain(
    'call notice.tell@1.0.0 message = "fichier reçu", role = "accountant"',
  );
  expect(outcome.kind === "compiled" && outcome.program.workspace.roles).toEqual(["accountant"]);
});

test("R20 what has no phrase in a language is shown by its id", () => {
  const silent = {
    ...catalog,
    capabilities: [...catalog.capabilities, { ...notify, phrases: { ...notify.phrases, fr: [] } }],
  };
  const outcome = ruleCompiler(silent).compile({ text: `${en}notify the owner "received".` });
  expect(outcome.kind === "compiled" && renderTree(outcome.tree, "fr", silent)).toContain(
    "notice.tell@1.0.0",
  );
});

test("R21 a folder keeps the file's name, a path says which of both it is", () => {
  const into = (place: string): string => renderProgramText(compile(`${en}move it to ${place}.`).program);
  expect(into("the archive")).toContain('destination = "archive/" + event.data.name');
  expect(into("archive/2026/")).toContain('destination = "archive/2026/" + event.data.name');
  expect(into('"archive"')).toContain('destination = "archive/" + event.data.name');
  expect(into("archive/last.csv")).toContain('destination = "archive/last.csv"');
});

test("R22 `the sum` is the one spoken of before, also across sentences", () => {
  const text = `${en}append the sum of "amount" to journal.csv. Append the sum to reports/sum.txt.`;
  expect(renderProgramText(compile(text).program).match(/string\(aggregate_1\.sum\)/gu)).toHaveLength(2);
});

test("R23 only steps whose capability declares transient faults are retried", () => {
  const { program } = compile(
    `${en}move it to archive. Append the time to journal.csv. On failure, retry 2 times.`,
  );
  expect(program.body.steps.map(({ failure }) => failure)).toEqual([
    {
      kind: "retry",
      attemptsMax: 3,
      delayMs: 1000,
      factor: 2,
      delayMsMax: 60_000,
      on: ["filesystem.busy"],
      then: { kind: "safe_halt" },
    },
    { kind: "safe_halt" },
  ]);
});
