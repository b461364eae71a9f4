// A simulated plant: valves with position sensors, pumps, tanks with level and temperature, in the time of a `World`. Everything it gives
// carries the label `simulated`; nothing here is a driver of a real thing.
//   Y1  A device moves with time, not at once: commands set where it goes, sensors tell where it is.
//   Y2  The plant survives the node, as a real one would: crash the node, keep the plant, start another node on it.
//   Y3  Every command that reaches a device is listed with its idempotency key, so that a test can count.
import {
  capability,
  decimalSchema,
  type CallContext,
  type Capability,
  type Criticality,
  type Inspection,
  type Performed,
  type Target,
} from "@writ/core/capability";
import { Fault } from "@writ/core/fault";
import { capabilityId } from "@writ/core/ids";
import type { Modules, World } from "@writ/core/ports";
import { Type } from "@writ/core/schema";
import { decimal, isDecimal, type Decimal, type Value } from "@writ/core/value";

/** What is wrong with a device. */
export type Trouble =
  /** Stays where it is, whatever it is told. */
  | { readonly kind: "stuck" }
  /** Moves so many percent a second, instead of 50. */
  | { readonly kind: "slow"; readonly percentPerSecond: number }
  /** Its sensor shows where it was told to go, not where it is. */
  | { readonly kind: "lying-sensor" }
  /** Does what it is told, and the answer gets lost. */
  | { readonly kind: "lost-acknowledgement" }
  /** Its sensor does not answer. */
  | { readonly kind: "dead-sensor" };

export interface PlantCommand {
  readonly capability: string;
  readonly device: string;
  readonly value: string;
  readonly key: string;
  readonly atMs: number;
}

export interface SimulatedPlant {
  readonly capabilities: readonly Capability[];
  /** The plant's capabilities before those of other modules. */
  modulesWith(others: Modules): Modules;
  readonly commands: readonly PlantCommand[];
  /** Position of a valve in percent, as it really is now. */
  position(valve: string): number;
  /** Litres in the tank, as they really are now. */
  level(tank: string): number;
  trouble(device: string, trouble: Trouble | null): void;
  /** Somebody turns the valve by hand. */
  turn(valve: string, position: number): void;
  heat(tank: string, celsius: number): void;
}

interface Valve {
  position: number;
  setpoint: number;
}

interface Tank {
  level: number;
  celsius: number;
  /** The valve that fills it from the pump. */
  readonly valve: string;
  readonly pump: string;
}

const percentPerSecondUsual = 50;
const litresPerSecond = 10;
const capacityLitres = 1000;

/** Valves `valve-1` and `valve-2`, pump `pump-1`, tank `tank-1` filled through `valve-1` by `pump-1`. */
export function simulatedPlant(world: Pick<World, "monotonicMs">): SimulatedPlant {
  const valves = new Map<string, Valve>(
    ["valve-1", "valve-2"].map((name) => [name, { position: 0, setpoint: 0 }]),
  );
  const pumps = new Map<string, boolean>([["pump-1", false]]);
  const tanks = new Map<string, Tank>([
    ["tank-1", { level: 0, celsius: 20, valve: "valve-1", pump: "pump-1" }],
  ]);
  const troubles = new Map<string, Trouble>();
  const commands: PlantCommand[] = [];
  let lastMs = world.monotonicMs();

  /** Lets the time since the last look pass in the plant. */
  const pass = (): void => {
    const seconds = (world.monotonicMs() - lastMs) / 1000;
    lastMs = world.monotonicMs();
    const before = new Map([...valves].map(([name, { position }]) => [name, position]));
    for (const [name, valve] of valves) {
      const trouble = troubles.get(name);
      if (trouble?.kind === "stuck") continue;
      const rate = trouble?.kind === "slow" ? trouble.percentPerSecond : percentPerSecondUsual;
      const way = valve.setpoint - valve.position;
      valve.position += Math.sign(way) * Math.min(Math.abs(way), rate * seconds);
    }
    for (const tank of tanks.values()) {
      if (pumps.get(tank.pump) !== true) continue;
      const open = ((before.get(tank.valve) ?? 0) + (valves.get(tank.valve)?.position ?? 0)) / 200;
      tank.level = Math.min(capacityLitres, tank.level + open * litresPerSecond * seconds);
    }
  };

  const known = <T>(devices: ReadonlyMap<string, T>, name: string): T => {
    pass();
    const found = devices.get(name);
    if (found === undefined) throw plantFault("plant.unknown-device", `There is no ${name}`);
    return found;
  };

  const told = (
    what: { readonly capability: string; readonly device: string; readonly value: string },
    context: CallContext,
  ) => {
    commands.push({ ...what, key: context.idempotencyKey, atMs: context.nowMs });
    // An error without a code: nobody knows what became of the command.
    if (troubles.get(what.device)?.kind === "lost-acknowledgement")
      throw new Error(`the acknowledgement of ${what.device} was lost`);
  };

  const sensed = (device: string, real: number, commanded: number): Decimal => {
    const trouble = troubles.get(device);
    if (trouble?.kind === "dead-sensor")
      throw plantFault("plant.sensor-dead", `The sensor of ${device} does not answer`);
    return exact(trouble?.kind === "lying-sensor" ? commanded : real);
  };

  const setValve = (name: string, position: number): void => {
    known(valves, name).setpoint = position;
  };

  const look = (device: string, before: Readonly<Record<string, Value>>): Promise<Inspection> =>
    Promise.resolve({ targets: [deviceTarget(device, "replace")], before });

  const moved = (valve: string, before: Readonly<Record<string, Value>>): Performed => ({
    result: { position: exact(valves.get(valve)?.setpoint ?? 0) },
    undo: {
      capability: capabilityId("plant.restore_valve@1.0.0"),
      params: { valve, position: before["position"] ?? exact(0) },
    },
    evidence: "commanded",
  });

  const valveAction = (given: {
    readonly name: string;
    readonly criticality: Criticality;
    readonly more?: Partial<Pick<Capability, "internal" | "leadsToSafeState">>;
  }) =>
    capability({
      ...base,
      ...given.more,
      id: capabilityId(`plant.${given.name}@1.0.0`),
      params: valveAndPosition,
      result: positionOnly,
      effect: { kind: "write", undo: capabilityId("plant.restore_valve@1.0.0") },
      resources: [{ kind: "device", param: "valve", does: "replace" }],
      crash: "idempotent",
      criticality: given.criticality,
      permission: "plant.move",
      inspect: ({ valve }) => {
        const { setpoint } = known(valves, valve);
        return look(valve, { position: exact(setpoint) });
      },
      perform: async ({ valve, position }, context) => {
        setValve(valve, numberOf(position));
        told(
          { capability: `plant.${given.name}`, device: valve, value: String(numberOf(position)) },
          context,
        );
        return moved(valve, context.before);
      },
    });

  const closeValve = capability({
    ...base,
    id: capabilityId("plant.close_valve@1.0.0"),
    summary: { en: "closes a simulated valve", fr: "ferme une vanne simulée" },
    params: Type.Object({ valve: deviceName }, closed),
    result: positionOnly,
    effect: { kind: "write", undo: capabilityId("plant.restore_valve@1.0.0") },
    resources: [{ kind: "device", param: "valve", does: "replace" }],
    crash: "idempotent",
    criticality: "guarded",
    permission: "plant.move",
    leadsToSafeState: true,
    inspect: ({ valve }) => look(valve, { position: exact(known(valves, valve).setpoint) }),
    perform: async ({ valve }, context) => {
      setValve(valve, 0);
      told({ capability: "plant.close_valve", device: valve, value: "0" }, context);
      return moved(valve, context.before);
    },
  });

  const readValve = capability({
    ...base,
    id: capabilityId("plant.read_valve@1.0.0"),
    params: Type.Object({ valve: deviceName }, closed),
    result: positionOnly,
    effect: { kind: "read" },
    resources: [{ kind: "device", param: "valve", does: "read" }],
    crash: "idempotent",
    criticality: "safe",
    permission: "plant.read",
    perform: async ({ valve }) => {
      const { position, setpoint } = known(valves, valve);
      return { result: { position: sensed(valve, position, setpoint) }, undo: null, evidence: "observed" };
    },
  });

  const runPump = capability({
    ...base,
    id: capabilityId("plant.run_pump@1.0.0"),
    params: Type.Object({ pump: deviceName, on: Type.Boolean() }, closed),
    result: Type.Object({ on: Type.Boolean() }, closed),
    effect: { kind: "write", undo: capabilityId("plant.run_pump@1.0.0") },
    resources: [{ kind: "device", param: "pump", does: "replace" }],
    crash: "idempotent",
    criticality: "guarded",
    permission: "plant.move",
    inspect: ({ pump }) => look(pump, { on: known(pumps, pump) }),
    perform: async ({ pump, on }, context) => {
      known(pumps, pump);
      if (troubles.get(pump)?.kind !== "stuck") pumps.set(pump, on);
      told({ capability: "plant.run_pump", device: pump, value: on ? "on" : "off" }, context);
      const undo = {
        capability: capabilityId("plant.run_pump@1.0.0"),
        params: { pump, on: context.before["on"] ?? false },
      };
      return { result: { on }, undo, evidence: "commanded" };
    },
  });

  const drainTank = capability({
    ...base,
    id: capabilityId("plant.drain_tank@1.0.0"),
    params: Type.Object({ tank: deviceName, litres: Type.Number({ minimum: 0, maximum: 1000 }) }, closed),
    result: Type.Object({ level: decimalSchema }, closed),
    effect: { kind: "irreversible", approval: "listed" },
    resources: [{ kind: "device", param: "tank", does: "replace" }],
    crash: "neither",
    risk: "critical",
    criticality: "critical",
    permission: "plant.drain",
    inspect: ({ tank }) => look(tank, { level: exact(known(tanks, tank).level) }),
    perform: async ({ tank, litres }, context) => {
      const found = known(tanks, tank);
      if (troubles.get(tank)?.kind !== "stuck") found.level = Math.max(0, found.level - numberOf(litres));
      told({ capability: "plant.drain_tank", device: tank, value: String(numberOf(litres)) }, context);
      return { result: { level: exact(found.level) }, undo: null, evidence: "commanded" };
    },
  });

  const readTank = capability({
    ...base,
    id: capabilityId("plant.read_tank@1.0.0"),
    params: Type.Object({ tank: deviceName }, closed),
    result: Type.Object({ level: decimalSchema, celsius: decimalSchema }, closed),
    effect: { kind: "read" },
    resources: [{ kind: "device", param: "tank", does: "read" }],
    crash: "idempotent",
    criticality: "safe",
    permission: "plant.read",
    perform: async ({ tank }) => {
      const { level, celsius } = known(tanks, tank);
      const result = { level: sensed(tank, level, level), celsius: exact(celsius) };
      return { result, undo: null, evidence: "observed" };
    },
  });

  const capabilities: readonly Capability[] = [
    valveAction({ name: "set_valve", criticality: "controlled" }),
    valveAction({ name: "restore_valve", criticality: "controlled", more: { internal: true } }),
    closeValve,
    readValve,
    runPump,
    drainTank,
    readTank,
  ];
  const byId = new Map(capabilities.map((each) => [each.id, each]));
  return {
    capabilities,
    modulesWith: (others) => ({
      find: (id) => byId.get(id) ?? others.find(id),
      all: () => [...capabilities, ...others.all()],
      sources: () => others.sources(),
    }),
    commands,
    position: (valve) => known(valves, valve).position,
    level: (tank) => known(tanks, tank).level,
    trouble: (device, trouble) => {
      pass();
      if (trouble === null) troubles.delete(device);
      else troubles.set(device, trouble);
    },
    turn: (valve, position) => {
      const found = known(valves, valve);
      found.position = position;
      found.setpoint = position;
    },
    heat: (tank, celsius) => {
      known(tanks, tank).celsius = celsius;
    },
  };
}

const closed = { additionalProperties: false } as const;
const deviceName = Type.String({ maxLength: 64 });
const valveAndPosition = Type.Object(
  { valve: deviceName, position: Type.Number({ minimum: 0, maximum: 100 }) },
  closed,
);
const positionOnly = Type.Object({ position: decimalSchema }, closed);
const base = {
  summary: { en: "a simulated plant", fr: "une installation simulée" },
  risk: "medium",
  labels: ["simulated"],
  phrases: { en: [], fr: [] },
  timeoutMs: 5000,
  resultBytesMax: 4096,
  retryOn: ["plant.sensor-dead"],
} as const;

function deviceTarget(name: string, does: Target["does"]): Target {
  return { kind: "device", name, resolved: name, does, state: null };
}

/** Two decimals, as the sensors have them. */
function exact(value: number): Decimal {
  return decimal(value.toFixed(2));
}

function numberOf(value: Value): number {
  if (isDecimal(value)) return Number(value.toString());
  if (typeof value === "number") return value;
  throw plantFault("plant.no-number", "This is no number");
}

function plantFault(code: string, message: string): Fault {
  const kind = code === "plant.sensor-dead" ? "transient" : "rejected";
  return new Fault({ code, kind, message, remedy: "This is a simulation.", facts: {} });
}
