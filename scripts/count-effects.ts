// Counts what a kill campaign left in the world against what it asked for.

export interface Effects {
  /** Names of files dropped into the inbox. */
  readonly files: readonly string[];
  /** Reports whose plan the node took in, and those whose submission a kill left without an answer. */
  readonly reportsAnswered: readonly string[];
  readonly reportsUnanswered: readonly string[];
  readonly inApproved: readonly string[];
  readonly journal: readonly string[];
  readonly inReports: readonly string[];
  /** Names of reports that took effect at the receiver, once for each time. */
  readonly received: readonly string[];
}

/** Every effect that was lost, doubled, half done or not taken back; none when all is well. */
export function countEffects(effects: Effects): readonly string[] {
  return [...countFiles(effects), ...countReports(effects)];
}

function countFiles({ files, inApproved, journal }: Effects): readonly string[] {
  const problems: string[] = [];
  for (const name of files) {
    if (!inApproved.includes(name)) problems.push(`lost: ${name} is not in approved`);
    const times = journal.filter((line) => line.includes(name)).length;
    if (times === 0) problems.push(`lost: no journal line for ${name}`);
    if (times > 1) problems.push(`doubled: ${times} journal lines for ${name}`);
  }
  const strange = inApproved.filter((name) => !files.includes(name));
  return [...problems, ...strange.map((name) => `doubled: ${name} in approved is nobody's`)];
}

function countReports({
  reportsAnswered,
  reportsUnanswered,
  inReports,
  received,
}: Effects): readonly string[] {
  const problems: string[] = [];
  for (const name of [...reportsAnswered, ...reportsUnanswered]) {
    const times = received.filter((one) => one === name).length;
    const isWritten = inReports.includes(`${name}.txt`);
    if (times > 1) problems.push(`doubled: ${name} was received ${times} times`);
    if (times === 0 && reportsAnswered.includes(name)) problems.push(`lost: ${name} was never received`);
    if (isWritten !== times > 0)
      problems.push(`half done: ${name} written ${isWritten}, received ${times} times`);
  }
  const left = inReports.filter((name) => name.startsWith("failing-"));
  return [...problems, ...left.map((name) => `not taken back: ${name}`)];
}
