// Loaded by --import before a process of Keystead: its clock is then a year ahead of everybody else's.

const AHEAD_MS = 365 * 86_400_000;
const RealDate = Date;

class DateAhead extends RealDate {
  static override now(): number {
    return RealDate.now() + AHEAD_MS;
  }

  constructor(...args: [] | [value: number | string | Date]) {
    super(args.length === 0 ? DateAhead.now() : args[0]);
  }
}

Reflect.set(globalThis, "Date", DateAhead);
