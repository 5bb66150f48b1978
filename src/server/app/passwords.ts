// Passwords and random tokens: scrypt hashes for what people choose, SHA-256 of 256 random bits for what we hand out.
import { createHash, randomBytes, scrypt, timingSafeEqual } from "node:crypto";
import { AppError } from "./errors.ts";

// OWASP's scrypt advice (N = 2^15, r = 8, p = 3) costs about 0.1 s and 32 MiB per check.
const cost = { N: 2 ** 15, r: 8, p: 3 };

const derive = (password: string, salt: Buffer, N: number, r: number, p: number): Promise<Buffer> =>
  new Promise((resolve, reject) => {
    scrypt(password.normalize("NFKC"), salt, 32, { N, r, p, maxmem: 256 * N * r }, (error, key) =>
      error ? reject(error) : resolve(key),
    );
  });

/** Hashes to `scrypt$N$r$p$salt$key`, parts in base64url. */
export async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(16);
  const key = await derive(password, salt, cost.N, cost.r, cost.p);
  return ["scrypt", cost.N, cost.r, cost.p, salt.toString("base64url"), key.toString("base64url")].join("$");
}

const decoy = hashPassword(randomBytes(12).toString("hex"));

/** Compares in constant time; with no hash (unknown name) it spends the same time and says no. */
export async function checkPassword(password: string, hash: string | undefined): Promise<boolean> {
  const [, N, r, p, salt, key] = (hash ?? (await decoy)).split("$");
  const got = await derive(password, Buffer.from(salt, "base64url"), Number(N), Number(r), Number(p));
  return timingSafeEqual(got, Buffer.from(key, "base64url")) && hash !== undefined;
}

/** Refuses passwords too short to resist guessing or too long to hash. */
export function requireGoodPassword(password: string): void {
  if (password.length < 8 || password.length > 256)
    throw new AppError(400, "weak_password", "A password has 8 to 256 characters.");
}

export const newToken = (): string => randomBytes(32).toString("base64url");
export const hashToken = (token: string): string => createHash("sha256").update(token).digest("base64url");
export const newId = (): string => randomBytes(9).toString("base64url");

export function sameToken(a: string, b: string): boolean {
  return timingSafeEqual(createHash("sha256").update(a).digest(), createHash("sha256").update(b).digest());
}
