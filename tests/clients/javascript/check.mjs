// Langfuse's JavaScript client against a running PromptForge: only the host is another.
// The address and the key come from the environment; the last line is what was answered, as JSON.
import assert from "node:assert/strict";
import { LangfuseClient } from "@langfuse/client";

const { PROMPTFORGE_ADDRESS: baseUrl, PROMPTFORGE_KEY: secretKey } = process.env;
const name = "support/greeting";
const called = new Set();
const fetchWithoutNote = globalThis.fetch;
globalThis.fetch = (address, ...rest) => {
  called.add(new URL(address.url ?? address).origin);
  return fetchWithoutNote(address, ...rest);
};

const connect = (publicKey) => new LangfuseClient({ publicKey, secretKey, baseUrl });
const client = connect(secretKey.split("_")[2]);

const promote = async (version) => {
  const body = JSON.stringify({ kind: "promote", prompt: name, version });
  const headers = { Authorization: `Bearer ${secretKey}`, "Content-Type": "application/json" };
  const answer = await fetch(`${baseUrl}/api/v1/releases`, { method: "POST", headers, body });
  assert.equal(answer.status, 201, await answer.text());
};

const text = await client.prompt.get(name);
assert.equal(text.version, 2);
assert.equal(text.isFallback, false);
assert.equal(text.compile({ customer_name: "Ada & <co>" }), "Text 2 for Ada & <co>");
assert.deepEqual(text.labels, ["production", "stable"]);
assert.deepEqual(text.tags, ["shop"]);
assert.deepEqual((await client.prompt.get(name, { version: 1 })).config, { model: "m", temperature: 0.2 });

const chat = await client.prompt.get("chat", { type: "chat" });
const history = [{ role: "user", content: "Hi" }];
assert.deepEqual(chat.compile({ language: "Welsh", question: "Why?" }, { history }), [
  { role: "system", content: "Speak Welsh." },
  ...history,
  { role: "user", content: "Why?" },
]);

const versionOf = async (asked) => (await client.prompt.get(name, asked)).version;
assert.equal(await versionOf({ label: "staging" }), 1);
assert.equal(await versionOf({ label: "latest" }), 3);
assert.equal(await versionOf({ version: 1 }), 1);

await promote(3);
assert.equal(await versionOf(), 2); // its own cache, for 60 seconds
assert.equal(await versionOf({ cacheTtlSeconds: 0 }), 3);

const listed = await client.api.prompts.list({ label: "production" });
assert.deepEqual(
  listed.data.map((entry) => [entry.name, entry.versions]),
  [["chat", [1]], [name, [3]]],
);
assert.equal(listed.meta.totalItems, 2);

const status = async (call) => {
  try {
    await call();
  } catch (error) {
    return error.statusCode;
  }
  return 200;
};
assert.equal(await status(() => client.api.prompts.get("nope")), 404);
assert.equal(await status(() => client.api.prompts.get(name, { label: "nowhere" })), 404);
assert.equal(await status(() => client.api.prompts.get(name, { label: "stable", version: 1 })), 400);
assert.equal(await status(() => connect("0000000000").api.prompts.get(name)), 401);
assert.equal(await status(() => client.prompt.create({ name: "new", prompt: "x", labels: [] })), 405);

const lost = await client.prompt.get("nope", { fallback: "Dear {{name}}", maxRetries: 0 });
assert.equal(lost.isFallback, true);
assert.equal(lost.compile({ name: "Ada" }), "Dear Ada");

assert.deepEqual([...called], [new URL(baseUrl).origin]);
console.log("every answer was as Langfuse's client expects it");
process.exit(0);
