-- The server's own tables; those of the users' models are made by `models apply`.
-- A new database gets all versions of it, an older one those that it lacks.
-- All moments are UTC to the microsecond, as text: 2026-01-31T09:30:00.000000Z.

-- == Version 1

-- One row for each version of models.json that was ever applied; the last one is in force.
CREATE TABLE "system.ModelVersion" (
  "id"         INTEGER PRIMARY KEY AUTOINCREMENT,
  "applied"    TEXT NOT NULL,
  "definition" TEXT NOT NULL CHECK (json_valid("definition"))
) STRICT;

CREATE TABLE "system.ApiKey" (
  "id"          INTEGER PRIMARY KEY AUTOINCREMENT,
  "name"        TEXT NOT NULL,
  "permissions" TEXT NOT NULL,                        -- with commas between them; empty grants nothing
  "created"     TEXT NOT NULL,
  "created_by"  TEXT,                                 -- the public id of the key that made it; NULL: the command line
  "expires"     TEXT,                                 -- NULL: never
  "disabled"    TEXT,                                 -- since when; NULL: not
  "revoked"     TEXT                                  -- since when, for good; NULL: not
) STRICT;

-- The secrets of a key: one, or while a rotation overlaps, two.
CREATE TABLE "system.ApiKeySecret" (
  "public_id" TEXT PRIMARY KEY,                       -- the part of the key's text that may be shown
  "api_key"   INTEGER NOT NULL REFERENCES "system.ApiKey" ("id") ON DELETE CASCADE,
  "hash"      BLOB NOT NULL CHECK (length("hash") = 32), -- BLAKE3 of the whole text; the text itself is nowhere
  "created"   TEXT NOT NULL,
  "until"     TEXT                                    -- the end of its overlap; NULL: as long as the key
) STRICT, WITHOUT ROWID;

CREATE INDEX "system.ApiKeySecret.api_key" ON "system.ApiKeySecret" ("api_key");

-- One row for each request, refused ones too; never a secret, a header or a body.
CREATE TABLE "system.UsageLog" (
  "id"             INTEGER PRIMARY KEY,
  "at"             TEXT NOT NULL,                     -- when the request came in
  "request_id"     TEXT NOT NULL,
  "key"            TEXT,                              -- the public id; NULL: none that is known
  "namespace"      TEXT,
  "intent"         TEXT,
  "action"         TEXT,
  "status"         INTEGER NOT NULL,                  -- HTTP
  "code"           TEXT,                              -- the first error's; NULL: none
  "rows"           INTEGER NOT NULL,                  -- records in the answer
  "queries"        INTEGER NOT NULL,                  -- SQL statements
  "duration_us"    INTEGER NOT NULL,
  "request_bytes"  INTEGER NOT NULL,
  "response_bytes" INTEGER NOT NULL,
  "remote_addr"    TEXT
) STRICT;

CREATE INDEX "system.UsageLog.at" ON "system.UsageLog" ("at");

-- == Version 2

-- What cursors are sealed with, so that none can be made up.
CREATE TABLE "system.Secret" (
  "id"    INTEGER PRIMARY KEY CHECK ("id" = 1),
  "value" BLOB NOT NULL CHECK (length("value") = 32)
) STRICT;

INSERT INTO "system.Secret" ("id", "value") VALUES (1, randomblob(32));

-- Answers of writes with an Idempotency-Key, for a day.
CREATE TABLE "system.KeptAnswer" (
  "key"     BLOB PRIMARY KEY CHECK (length("key") = 32), -- BLAKE3 of the API key's id and the client's key
  "request" BLOB NOT NULL CHECK (length("request") = 32), -- BLAKE3 of the body
  "at"      TEXT NOT NULL,
  "answer"  TEXT NOT NULL                             -- the whole envelope
) STRICT, WITHOUT ROWID;

CREATE INDEX "system.KeptAnswer.at" ON "system.KeptAnswer" ("at");

-- == Version 3

ALTER TABLE "system.ApiKey" ADD COLUMN "rate" INTEGER CHECK ("rate" > 0);  -- requests a minute; NULL: as many as there are
ALTER TABLE "system.ApiKey" ADD COLUMN "allowed_ips" TEXT;                 -- networks with commas between them; NULL: all
ALTER TABLE "system.ApiKey" ADD COLUMN "last_used" TEXT;                   -- written once a minute at most
ALTER TABLE "system.ApiKey" ADD COLUMN "last_ip" TEXT;

-- The public id of the secret in use, for those who read keys as records.
ALTER TABLE "system.ApiKey" ADD COLUMN "public_id" TEXT;

UPDATE "system.ApiKey" SET "public_id" =
  (SELECT s."public_id" FROM "system.ApiKeySecret" s WHERE s."api_key" = "system.ApiKey"."id" AND s."until" IS NULL);

CREATE UNIQUE INDEX "system.ApiKey.public_id" ON "system.ApiKey" ("public_id");

-- The models in force, as records.
CREATE VIEW "system.Model" ("id", "namespace", "definition") AS
  SELECT row_number() OVER (ORDER BY m."key"), m."key", m."value"
  FROM json_each((SELECT v."definition" FROM "system.ModelVersion" v ORDER BY v."id" DESC LIMIT 1)) m;

-- == Version 4

-- Files of records that were loaded in steps, and how far.
CREATE TABLE "system.Load" (
  "source"  BLOB PRIMARY KEY CHECK (length("source") = 32), -- BLAKE3 of the file's path and the model
  "line"    INTEGER NOT NULL,                         -- the last one that is done
  "content" BLOB NOT NULL,                            -- BLAKE3 of the records up to there
  "waiting" TEXT NOT NULL,                            -- lines before it that are not done: a JSON list
  "whole"   INTEGER NOT NULL                          -- 1: that was all of it
) STRICT, WITHOUT ROWID;
