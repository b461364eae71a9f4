// Seeds that once failed, each with what was wrong; those that fail still stand in docs/reliability.md. A seed plays another story when the generator changes: then it guards what it still reaches.
export const regressionSeeds: readonly { readonly seed: number; readonly was: string }[] = [
  {
    seed: 3067,
    was: "a kill before the first sync of a segment, then a power cut: the header that the restart built upon was lost",
  },
  {
    seed: 6725,
    was: "a run parked between an order's look at it and the order: the order was lost, and the index kept an ended run",
  },
  {
    seed: 105090,
    was: "a failed sync, a restart that read from memory what was not on the disk and built upon it, then a power cut",
  },
  { seed: 100633, was: "the same, in a segment that a restart had begun" },
  {
    seed: 102410,
    was: "memory full of runs that waited for their turn, which parked runs had: those were never woken",
  },
  {
    seed: 104980,
    was: "an idempotent effect that was done and did not know, then a try that did nothing: both were taken for failed",
  },
  {
    seed: 700331,
    was: "a person had a held effect of a group that was given up done again: the run ended while it was under way",
  },
  {
    seed: 406428,
    was: "an order to skip came while its run ended: it reopened the run, and nobody carried it out",
  },
];
