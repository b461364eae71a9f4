// A guard in words, one line for each thing it asks for: for drawings, listings, previews and whoever approves.
import type { Guard, Operands } from "./program.ts";
import { decimal, decimalText, toJson, type Decimal } from "./value.ts";

/** What the guard asks for, one line each, in the order in which it is looked at. */
export function guardText(guard: Guard | undefined): readonly string[] {
  if (guard === undefined) return [];
  const { preconditions = [], ranges = [], window, rate, countdown, readBack } = guard;
  const bound = (value: Decimal | null, words: string) =>
    value === null ? [] : [`${words} ${decimalText(value)}`];
  return [
    ...preconditions.map((text) => `only if \`${text}\``),
    ...ranges.map(({ param, min, max, stepMax }) => {
      const bounds = [
        ...bound(min, "at least"),
        ...bound(max, "at most"),
        ...bound(stepMax, "in steps of at most"),
      ];
      return `\`${param}\` ${bounds.join(", ")}`;
    }),
    ...(window === undefined
      ? []
      : [
          `only from ${windowText(window.window)}; outside: ${window.outside}${window.outside === "queue" ? ` for at most ${seconds(window.queueMs)}` : ""}`,
        ]),
    ...(rate === undefined
      ? []
      : [
          `${rate.perMinuteMax === 0 ? "" : `at most ${rate.perMinuteMax} times a minute, `}${seconds(rate.cooldownMs)} apart, on one target`,
        ]),
    ...(countdown === undefined
      ? []
      : [
          `announced ${seconds(countdown.ms)} before to the ${countdown.role}, who may cancel it${countdown.requiresAcknowledgment ? `; without an acknowledgment: ${countdown.onMissed}` : ""}`,
        ]),
    ...(readBack === undefined
      ? []
      : [
          `done only when \`${readBack.capability}\`${operandsText(readBack.params)} shows \`${readBack.check}\` within ${seconds(readBack.timeoutMs)}${readBack.tolerance === null ? "" : ` (tolerance ${decimalText(readBack.tolerance)})`}`,
        ]),
  ];
}

function operandsText(params: Operands): string {
  const texts = Object.entries(params).map(
    ([name, operand]) =>
      `${name} = ${operand.kind === "expression" ? operand.text : JSON.stringify(toJson(operand.value))}`,
  );
  return texts.length === 0 ? "" : ` (${texts.join(", ")})`;
}

function seconds(ms: number): string {
  return `${decimalText(decimal(ms).div(1000))} s`;
}

/** `22:00 to 06:00, Europe/Paris`. */
export function windowText({
  fromMinute,
  toMinute,
  zone,
  days,
}: NonNullable<Guard["window"]>["window"]): string {
  const clock = (minute: number) =>
    `${String(Math.floor(minute / 60)).padStart(2, "0")}:${String(minute % 60).padStart(2, "0")}`;
  const on = days.length === 0 ? "" : ` on ${days.map((day) => weekdays[day] ?? "?").join(", ")}`;
  return `${clock(fromMinute)} to ${clock(toMinute)}${on}, ${zone}`;
}

const weekdays = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
