// Drives an agent server with the official JavaScript clients: `node check.mjs URL FOLDER`.
// Each check prints one line of JSON, {name, ok, error?}. FOLDER is where the gates are made that hold a run.

import { strict as assert } from "node:assert";
import { randomUUID } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { useStream as useNewerStream } from "@langchain/react";
import { Client } from "@langchain/langgraph-sdk";
import { useStream as useOlderStream } from "@langchain/langgraph-sdk/react";
import { createElement } from "react";
import TestRenderer from "react-test-renderer";
import { WebSocket } from "ws";

const [url, folder] = [process.argv[2], resolve(process.argv[3])];
const client = new Client({ apiUrl: url, apiKey: null });
const COUNTED = { total: 3, log: ["one", "two", "three"] };
const QUESTION = { messages: [{ type: "human", content: "good day" }] };
const NEVER = "0 0 29 2 *";
const CHECK_MILLISECONDS = 20_000;
const webSocketFactory = (address) => new WebSocket(address);

function gate() {
  const path = join(folder, randomUUID());
  return { input: { gate: path }, open: () => writeFileSync(path, "") };
}

async function collect(stream) {
  const parts = [];
  for await (const part of stream) parts.push(part);
  return parts;
}

async function until(ask, good = Boolean) {
  for (;;) {
    const answer = await ask();
    if (good(answer)) return answer;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

async function newThread(payload) {
  return (await client.threads.create(payload)).thread_id;
}

async function held(threadId, closed, payload = {}) {
  const run = await client.runs.create(threadId, "gate", { input: closed.input, ...payload });
  await until(
    () => client.threads.getState(threadId),
    (state) => state.next?.[0] === "hold",
  );
  return run.run_id;
}

async function status(threadId, runId, ...wanted) {
  return until(
    async () => (await client.runs.get(threadId, runId)).status,
    (found) => wanted.includes(found),
  );
}

const refused = (code) => (error) => error.status === code;

// A component that only holds a hook, so that the hook can be driven without a browser.
async function mounted(hook, options) {
  globalThis.IS_REACT_ACT_ENVIRONMENT = false;
  const current = {};
  const Probe = () => {
    current.stream = hook(options);
    return null;
  };
  const root = TestRenderer.create(createElement(Probe));
  current.unmount = () => root.unmount();
  await until(() => current.stream);
  return current;
}

const checks = {
  async assistants() {
    const mark = randomUUID();
    const made = await client.assistants.create({ graphId: "counter", metadata: { mark }, name: "Mine" });
    assert.equal((await client.assistants.get(made.assistant_id)).name, "Mine");
    const changed = await client.assistants.update(made.assistant_id, { name: "Yours" });
    assert.equal(changed.version, 2);
    assert.equal((await client.assistants.getVersions(made.assistant_id)).length, 2);
    assert.equal((await client.assistants.setLatest(made.assistant_id, 1)).name, "Mine");
    const page = await client.assistants.search({ metadata: { mark }, limit: 1, includePagination: true });
    assert.equal(page.assistants.length, 1);
    assert.equal(await client.assistants.count({ metadata: { mark } }), 1);
    assert.ok((await client.assistants.getGraph(made.assistant_id)).nodes.length >= 5);
    assert.ok((await client.assistants.getSchemas(made.assistant_id)).input_schema);
    assert.deepEqual(await client.assistants.getSubgraphs(made.assistant_id), {});
    await client.assistants.delete(made.assistant_id);
    await assert.rejects(client.assistants.get(made.assistant_id), refused(404));
  },

  async threads() {
    const mark = randomUUID();
    const threadId = await newThread({ metadata: { mark }, graphId: "counter", ttl: 60 });
    await assert.rejects(client.threads.create({ threadId }), refused(409));
    assert.equal((await client.threads.create({ threadId, ifExists: "do_nothing" })).metadata.mark, mark);
    assert.equal((await client.threads.update(threadId, { metadata: { more: 1 } })).metadata.more, 1);
    await client.threads.update(threadId, { metadata: { more: 2 }, returnMinimal: true });
    await client.runs.wait(threadId, "counter", { input: { total: 0 } });
    const [found] = await client.threads.search({ metadata: { mark }, select: ["thread_id", "values"] });
    assert.deepEqual(found, { thread_id: threadId, values: COUNTED });
    assert.equal(await client.threads.count({ metadata: { mark } }), 1);
    const copied = await client.threads.copy(threadId);
    assert.deepEqual((await client.threads.getState(copied.thread_id)).values, COUNTED);
    assert.deepEqual(await client.threads.prune([copied.thread_id]), { pruned_count: 1 });
    await client.threads.delete(threadId);
    await assert.rejects(client.threads.get(threadId), refused(404));
  },

  async states() {
    const threadId = await newThread();
    await client.runs.wait(threadId, "counter", { input: { total: 0 } });
    const history = await client.threads.getHistory(threadId);
    assert.equal(history.length, 5);
    const older = await client.threads.getHistory(threadId, {
      before: { configurable: { checkpoint_id: history[1].checkpoint.checkpoint_id } },
    });
    assert.deepEqual(older.map((state) => state.checkpoint), history.slice(2).map((state) => state.checkpoint));
    const old = await client.threads.getState(threadId, history[1].checkpoint);
    assert.equal(old.values.total, 2);
    assert.equal((await client.threads.getState(threadId, history[2].checkpoint.checkpoint_id)).values.total, 1);
    await client.threads.updateState(threadId, { values: { total: 100 }, checkpoint: history[1].checkpoint });
    assert.equal((await client.threads.getState(threadId)).values.total, 102);
    await assert.rejects(client.threads.patchState(threadId, { a: 1 }), refused(405));
  },

  async runs() {
    const threadId = await newThread();
    let created;
    const values = await client.runs.wait(threadId, "counter", {
      input: { total: 0 },
      onRunCreated: (run) => (created = run),
    });
    assert.deepEqual(values, COUNTED);
    assert.equal(created.thread_id, threadId);
    const run = await client.runs.create(threadId, "counter", { input: { total: 0 }, metadata: { a: 1 } });
    assert.equal((await client.runs.join(threadId, run.run_id)).total, 6);
    assert.equal((await client.runs.get(threadId, run.run_id)).status, "success");
    const listed = await client.runs.list(threadId, { status: "success", limit: 5 });
    assert.deepEqual(listed.map((found) => found.run_id), [run.run_id, created.run_id]);
    await client.runs.delete(threadId, run.run_id);
    assert.equal((await client.runs.list(threadId)).length, 1);
    assert.deepEqual(await client.runs.wait(null, "counter", { input: { total: 0 } }), COUNTED);
    const batch = await client.runs.createBatch([
      { assistantId: "counter", input: { total: 0 } },
      { assistantId: "counter", input: { total: 1 } },
    ]);
    assert.equal(batch.length, 2);
    await assert.rejects(client.runs.wait(threadId, "failing", { input: { total: 0 } }), /on purpose/);
  },

  async "runs.cancel"() {
    const closed = gate();
    const threadId = await newThread();
    const runId = await held(threadId, closed);
    await client.runs.cancel(threadId, runId, true, "interrupt", { reason: "taken" });
    await status(threadId, runId, "interrupted");
    assert.match((await client.runs.get(threadId, runId)).cancel_reason, /^taken:/);
    const again = await held(threadId, closed);
    await client.runs.cancelMany({ threadId, runIds: [again] });
    await status(threadId, again, "interrupted");
    await assert.rejects(client.runs.cancel(threadId, again), refused(404));
    closed.open();
  },

  async "runs.stream"() {
    const threadId = await newThread();
    const modes = ["values", "updates", "messages-tuple", "custom", "tasks", "checkpoints", "debug"];
    const parts = await collect(
      client.runs.stream(threadId, "tokens", { input: QUESTION, streamMode: modes, streamSubgraphs: true }),
    );
    const events = new Set(parts.map((part) => part.event));
    for (const name of ["metadata", "values", "updates", "messages", "tasks", "checkpoints", "debug"])
      assert.ok(events.has(name), name);
    const text = parts.filter((part) => part.event === "messages").map((part) => part.data[0].content);
    assert.equal(text.join(""), "You said: good day ");
    const custom = await collect(client.runs.stream(null, "writer", { input: { total: 0 }, streamMode: "custom" }));
    assert.equal(custom.filter((part) => part.event === "custom").length, 3);
    const old = await collect(client.runs.stream(null, "tokens", { input: QUESTION, streamMode: "messages" }));
    assert.ok(old.some((part) => part.event === "messages/partial"));
    const failed = await collect(client.runs.stream(null, "failing", { input: { total: 0 } }));
    assert.equal(failed.at(-1).event, "error");
  },

  async "runs.joinStream"() {
    const closed = gate();
    const threadId = await newThread();
    const runId = await held(threadId, closed, { streamResumable: true, streamMode: ["values", "updates"] });
    closed.open();
    const all = await collect(client.runs.joinStream(threadId, runId, { lastEventId: "-1", streamMode: ["values"] }));
    const trails = all.filter((part) => part.event === "values").map((part) => part.data.trail.length);
    assert.deepEqual(trails, [0, 1, 2, 3]);
    const middle = all.find((part) => part.event === "values" && part.data.trail.length === 1);
    const rest = await collect(client.runs.joinStream(threadId, runId, { lastEventId: middle.id }));
    assert.deepEqual(rest.filter((part) => part.event === "values").map((part) => part.data.trail.length), [2, 3]);
  },

  async "runs.joinStream without a thread"() {
    const closed = gate();
    let created;
    const stream = client.runs.stream(null, "gate", {
      input: closed.input,
      streamResumable: true,
      onDisconnect: "continue",
      onRunCreated: (run) => (created = run),
    });
    for await (const part of stream) if (part.event === "values") break;
    closed.open();
    const parts = await collect(client.runs.joinStream(null, created.run_id, { lastEventId: "-1" }));
    assert.equal(parts.filter((part) => part.event === "values").at(-1).data.trail.length, 3);
  },

  async "a stream that broke off"() {
    const closed = gate();
    const threadId = await newThread();
    let broken = 0;
    let taken;
    const whenTaken = new Promise((resolve) => (taken = resolve));
    const breaking = async (input, init) => {
      const answer = await fetch(input, init);
      if (broken || !String(input.url ?? input).endsWith("/runs/stream")) return answer;
      broken += 1;
      const reader = answer.body.getReader();
      let seen = "";
      const body = new ReadableStream({
        async pull(controller) {
          if (seen.includes('"before"')) {
            await whenTaken; // an error throws away what waits
            closed.open();
            await reader.cancel();
            controller.error(new TypeError("network error"));
            return;
          }
          const { value } = await reader.read();
          seen += new TextDecoder().decode(value);
          controller.enqueue(value);
        },
      });
      return new Response(body, { status: answer.status, headers: answer.headers });
    };
    const other = new Client({ apiUrl: url, apiKey: null, callerOptions: { fetch: breaking } });
    const payload = { input: closed.input, streamMode: "values", streamResumable: true };
    const trails = [];
    for await (const part of other.runs.stream(threadId, "gate", payload)) {
      if (part.event === "values") trails.push(part.data.trail.length);
      if (trails.length === 2) taken();
    }
    assert.equal(broken, 1);
    assert.deepEqual(trails, [0, 1, 2, 3]);
  },

  async "threads.joinStream"() {
    const closed = gate();
    const threadId = await newThread();
    await held(threadId, closed, { streamMode: ["values"] });
    let last;
    setTimeout(closed.open, 300); // nothing tells from outside when it follows
    for await (const part of client.threads.joinStream(threadId, { streamMode: ["run_modes"] })) {
      if (part.event === "values") last = part.data;
      if (part.event === "metadata" && part.data.status === "run_done") break;
    }
    assert.equal(last.trail.length, 3);
  },

  async interrupts() {
    const threadId = await newThread();
    const values = await client.runs.wait(threadId, "ask_two", { input: {} });
    const [first, second] = values.__interrupt__;
    await client.runs.wait(threadId, "ask_two", { command: { resume: { [first.id]: "1" } } });
    const done = await client.runs.wait(threadId, "ask_two", { command: { resume: { [second.id]: "2" } } });
    assert.equal(done.answers.length, 3);
  },

  async store() {
    const namespace = [randomUUID(), "notes"];
    await client.store.putItem(namespace, "k", { text: "tea" });
    assert.deepEqual((await client.store.getItem(namespace, "k")).value, { text: "tea" });
    const found = await client.store.searchItems(namespace, { filter: { text: "tea" } });
    assert.deepEqual(found.items.map((item) => item.key), ["k"]);
    const listed = await client.store.listNamespaces({ prefix: [namespace[0]] });
    assert.deepEqual(listed.namespaces, [namespace]);
    await client.store.deleteItem(namespace, "k");
    assert.equal(await client.store.getItem(namespace, "k"), null);
  },

  async crons() {
    const mark = randomUUID();
    const cron = await client.crons.create("counter", { schedule: NEVER, input: { total: 0 }, metadata: { mark } });
    const threadId = await newThread();
    const bound = await client.crons.createForThread(threadId, "counter", { schedule: NEVER, metadata: { mark } });
    assert.equal(await client.crons.count({ metadata: { mark } }), 2);
    assert.equal((await client.crons.search({ threadId, limit: 5 }))[0].cron_id, bound.cron_id);
    assert.equal((await client.crons.update(cron.cron_id, { enabled: false })).enabled, false);
    for (const { cron_id } of [cron, bound]) await client.crons.delete(cron_id);
    assert.equal(await client.crons.count({ metadata: { mark } }), 0);
  },

  async "threads.stream over server-sent events"() {
    await followed("sse");
  },

  async "threads.stream over a WebSocket"() {
    await followed("websocket");
  },

  async "threads.stream answers a question"() {
    for (const transport of ["sse", "websocket"]) {
      const thread = client.threads.stream({ assistantId: "ask", transport, webSocketFactory });
      await thread.run.start({ input: {} });
      await until(() => thread.interrupted && thread.interrupts.length);
      const [asked] = thread.interrupts;
      assert.deepEqual(asked.payload, { question: "Shall we?" });
      await thread.input.respond({
        namespace: asked.namespace,
        interrupt_id: asked.interruptId,
        response: "yes",
      });
      const state = await until(
        () => client.threads.getState(thread.threadId),
        (found) => found.values.answers.includes("closed"), // `next` is empty as soon as a node has written
      );
      assert.deepEqual(state.values.answers, ["opened", "asked: yes", "closed"]);
      await thread.close();
    }
  },

  async "threads.stream tells of tools"() {
    const thread = client.threads.stream({ assistantId: "tools" });
    await thread.run.start({ input: { messages: [{ type: "human", content: "add 2 3" }] } });
    const calls = [];
    for await (const call of thread.toolCalls) {
      calls.push([call.name, call.input, JSON.stringify(await call.output)]);
      break;
    }
    await thread.close();
    assert.equal(calls.length, 1);
    assert.deepEqual(calls[0].slice(0, 2), ["add", { a: 2, b: 3 }]);
    assert.match(calls[0][2], /5/);
  },

  async "threads.stream tells of subgraphs"() {
    const closed = gate();
    const thread = client.threads.stream({ assistantId: "nested" });
    await thread.run.start({ input: closed.input });
    const names = [];
    for await (const child of thread.subgraphs) {
      names.push(child.name);
      break;
    }
    closed.open();
    await thread.close();
    assert.deepEqual(names, ["child"]);
  },

  async "threads.stream reads and forks states"() {
    const threadId = await newThread();
    await client.runs.wait(threadId, "counter", { input: { total: 0 } });
    const thread = client.threads.stream(threadId, { assistantId: "counter" });
    assert.equal((await thread.state.get({ namespace: [] })).values.total, 3);
    const { checkpoints } = await thread.state.listCheckpoints({ namespace: [], limit: 2 });
    assert.equal(checkpoints.length, 2);
    const fork = await thread.state.fork({ checkpoint_id: checkpoints[1].id });
    await status(fork.thread_id, fork.run_id, "success");
    const { tree } = await thread.agent.getTree();
    assert.equal(tree.graph_name, "counter");
    await thread.close();
  },

  async "useStream, the older one"() {
    const threads = [];
    const probe = await mounted(useOlderStream, {
      client,
      assistantId: "tokens",
      messagesKey: "messages",
      fetchStateHistory: true,
      onThreadId: (threadId) => threads.push(threadId),
    });
    probe.stream.submit(QUESTION, { streamMode: ["messages-tuple"] });
    await until(() => !probe.stream.isLoading && probe.stream.messages.length === 2);
    assert.equal(probe.stream.messages[1].content, "You said: good day ");
    assert.equal(threads.length, 1);
    await until(() => probe.stream.history.length > 0);
    const about = probe.stream.getMessagesMetadata(probe.stream.messages[1]);
    probe.stream.submit(undefined, { checkpoint: about.firstSeenState.parent_checkpoint });
    const runs = await until(
      () => client.runs.list(threads[0]),
      (found) => found.length === 2,
    );
    await status(threads[0], runs[0].run_id, "success");
    await until(() => !probe.stream.isLoading && probe.stream.messages.length === 2);
    probe.unmount();
  },

  async "useStream, the older one, answers a question"() {
    const probe = await mounted(useOlderStream, { client, assistantId: "ask", fetchStateHistory: true });
    probe.stream.submit({ answers: [] });
    await until(() => !probe.stream.isLoading && probe.stream.interrupt);
    assert.deepEqual(probe.stream.interrupt.value, { question: "Shall we?" });
    probe.stream.submit(undefined, { command: { resume: "yes" } });
    await until(() => !probe.stream.isLoading && probe.stream.values.answers?.length === 3);
    assert.deepEqual(probe.stream.values.answers, ["opened", "asked: yes", "closed"]);
    probe.unmount();
  },

  async "useStream, the older one, stops"() {
    const closed = gate();
    const threadId = await newThread();
    const probe = await mounted(useOlderStream, { client, assistantId: "gate", threadId, fetchStateHistory: false });
    probe.stream.submit(closed.input);
    await until(() => probe.stream.values.trail?.length === 1);
    await probe.stream.stop();
    const [run] = await client.runs.list(threadId);
    await status(threadId, run.run_id, "interrupted");
    probe.unmount();
    closed.open();
  },

  async "useStream, the newer one"() {
    for (const transport of ["sse", "websocket"]) {
      const threads = [];
      const probe = await mounted(useNewerStream, {
        apiUrl: url,
        assistantId: "tokens",
        transport,
        webSocketFactory,
        onThreadId: (threadId) => threads.push(threadId),
      });
      await probe.stream.submit({ messages: [{ type: "human", content: "good day" }] });
      await until(() => !probe.stream.isLoading && probe.stream.messages.length === 2);
      assert.equal(probe.stream.messages[1].text, "You said: good day ");
      assert.equal((await client.threads.get(threads[0])).metadata.graph_id, "tokens");
      probe.unmount();
    }
  },

  async "useStream, the newer one, answers a question"() {
    const probe = await mounted(useNewerStream, { apiUrl: url, assistantId: "ask" });
    await probe.stream.submit({});
    await until(() => probe.stream.interrupt);
    assert.deepEqual(probe.stream.interrupt.value, { question: "Shall we?" });
    await probe.stream.respond("yes");
    await until(() => probe.stream.values.answers?.length === 3);
    probe.unmount();
  },

  async "useStream, the newer one, comes back to a thread"() {
    const threadId = await newThread();
    await client.runs.wait(threadId, "tokens", { input: QUESTION });
    const probe = await mounted(useNewerStream, { apiUrl: url, assistantId: "tokens", threadId });
    await until(() => !probe.stream.isThreadLoading && probe.stream.messages.length === 2);
    await probe.stream.submit({ messages: [{ type: "human", content: "again" }] });
    await until(() => !probe.stream.isLoading && probe.stream.messages.length === 4);
    probe.unmount();
  },

  async "useStream, the newer one, stops"() {
    const closed = gate();
    const threadId = await newThread();
    const probe = await mounted(useNewerStream, { apiUrl: url, assistantId: "gate", threadId });
    probe.stream.submit(closed.input);
    await until(() => probe.stream.values.trail?.length === 1);
    await probe.stream.stop();
    const [run] = await client.runs.list(threadId);
    await status(threadId, run.run_id, "interrupted");
    probe.unmount();
    closed.open();
  },
};

async function followed(transport) {
  const thread = client.threads.stream({ assistantId: "tokens", transport, webSocketFactory });
  await thread.run.start({ input: QUESTION });
  let text = "";
  for await (const message of thread.messages) {
    for await (const delta of message.text) text += delta;
    break;
  }
  assert.equal(text, "You said: good day ");
  const values = await thread.output;
  assert.equal(values.messages.length, 2);
  await thread.close();
}

for (const [name, check] of Object.entries(checks)) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error("it takes too long")), CHECK_MILLISECONDS);
  });
  const result = { name, ok: true };
  try {
    await Promise.race([check(), late]);
  } catch (error) {
    Object.assign(result, { ok: false, error: String(error?.stack ?? error) });
  } finally {
    clearTimeout(timer);
  }
  console.log(JSON.stringify(result));
}
process.exit(0);
