// SQLite keeps the storage contract, in memory and in a file that only its owner can read.
import assert from "node:assert/strict";
import { mkdtempSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { storageContract } from "./contract.fixture.ts";
import { openDatabase, SqliteStorage } from "./sqlite.ts";

storageContract("sqlite", async () => new SqliteStorage(openDatabase(":memory:")));

test("the file is private, in WAL mode, and opens again with what it held", async () => {
  const path = join(mkdtempSync(join(tmpdir(), "weir-store-")), "data", "weir.db");
  const first = new SqliteStorage(openDatabase(path));
  await first.putBytes("a", new Uint8Array([1, 2]));
  assert.equal(statSync(path).mode & 0o777, 0o600);
  assert.equal(first.database.prepare("PRAGMA journal_mode").get()!.journal_mode, "wal");
  await first.close();
  const second = new SqliteStorage(openDatabase(path));
  assert.deepEqual([...(await second.getBytes("a"))!], [1, 2]);
  await second.close();
});
