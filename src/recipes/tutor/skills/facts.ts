// Facts that exercises rest on: units and what a die can show.

export interface Unit {
  zh: string;
  en: string;
  short: string;
}
const U = (zh: string, en: string, short: string): Unit => ({ zh, en, short });
const [KM, M, CM, MM, DM] = [
  U("千米", "kilometers", "km"),
  U("米", "meters", "m"),
  U("厘米", "centimeters", "cm"),
  U("毫米", "millimeters", "mm"),
  U("分米", "decimeters", "dm"),
];
const [T, KG, G] = [U("吨", "tons", "t"), U("千克", "kilograms", "kg"), U("克", "grams", "g")];
export const [DAY, H, MIN, SEC, WEEK] = [
  U("天", "days", "d"),
  U("小时", "hours", "h"),
  U("分钟", "minutes", "min"),
  U("秒", "seconds", "s"),
  U("周", "weeks", "wk"),
];
const [L, ML] = [U("升", "liters", "L"), U("毫升", "milliliters", "mL")];

/** Larger unit, smaller unit, how many of the smaller make the larger. */
export const UNITS: readonly (readonly [Unit, Unit, number])[] = [
  [KM, M, 1000],
  [M, CM, 100],
  [CM, MM, 10],
  [M, DM, 10],
  [DM, CM, 10],
  [M, MM, 1000],
  [T, KG, 1000],
  [KG, G, 1000],
  [L, ML, 1000],
  [H, MIN, 60],
  [MIN, SEC, 60],
  [DAY, H, 24],
  [WEEK, DAY, 7],
  [H, SEC, 3600],
];

/** Faces of a die that fit a description. */
export const dieEvents: readonly { zh: string; en: string; faces: readonly number[] }[] = [
  { zh: "是偶数", en: "an even number", faces: [2, 4, 6] },
  { zh: "是奇数", en: "an odd number", faces: [1, 3, 5] },
  { zh: "是质数", en: "a prime number", faces: [2, 3, 5] },
  { zh: "是3的倍数", en: "a multiple of 3", faces: [3, 6] },
  ...[1, 2, 3, 4, 5].map((n) => ({
    zh: `大于${n}`,
    en: `a number greater than ${n}`,
    faces: [1, 2, 3, 4, 5, 6].filter((f) => f > n),
  })),
  ...[2, 3, 4, 5, 6].map((n) => ({
    zh: `小于${n}`,
    en: `a number less than ${n}`,
    faces: [1, 2, 3, 4, 5, 6].filter((f) => f < n),
  })),
  ...[1, 2, 3, 4, 5, 6].map((n) => ({ zh: `是${n}`, en: `a ${n}`, faces: [n] })),
];
