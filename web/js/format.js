// How numbers and times are written.

const KIB = 1024;
const UNITS = ["bytes", "KiB", "MiB", "GiB"];

/** A count with its noun. */
export function count(number, one, many = `${one}s`) {
  return `${number.toLocaleString("en")} ${number === 1 ? one : many}`;
}

/** A number of bytes, in the unit that people would use. */
export function bytes(number) {
  let unit = 0;
  let amount = number;
  while (amount >= KIB && unit < UNITS.length - 1) {
    amount /= KIB;
    unit += 1;
  }
  return unit === 0 ? count(number, "byte") : `${amount.toFixed(1)} ${UNITS[unit]}`;
}

/** Milliseconds since the epoch as a date in UTC, and the number itself, which is what was signed. */
export function time(milliseconds) {
  const date = new Date(milliseconds);
  if (Number.isNaN(date.getTime())) return String(milliseconds);
  return `${date.toISOString().replace("T", " ").replace("Z", "")} UTC`;
}
