// Small named JSON values in the application's database.
import type { DatabaseSync } from "node:sqlite";

export class Settings {
  #db: DatabaseSync;

  constructor(db: DatabaseSync) {
    this.#db = db;
  }

  get(name: string): Record<string, unknown> {
    const row = this.#db.prepare("SELECT value FROM app_settings WHERE name = ?").get(name);
    return row ? JSON.parse(row.value as string) : {};
  }

  set(name: string, value: Record<string, unknown>): void {
    this.#db
      .prepare("INSERT OR REPLACE INTO app_settings (name, value) VALUES (?, ?)")
      .run(name, JSON.stringify(value));
  }
}
