// Try it: a chat with any model over POST /v1/chat/completions, as any other client would hold it.
"use strict";

const form = document.getElementById("chat");
const talk = document.getElementById("talk");
const facts = document.getElementById("facts");
const field = (name) => form.elements[name];
const ENDPOINT = new URL(`${form.dataset.outside}v1/chat/completions`, location.href).href;
let messages = [];
let running = null; // what stops the answer that is under way

function element(name, text, ...inside) {
  const made = document.createElement(name);
  if (text) made.textContent = text;
  made.append(...inside);
  return made;
}

function show(role, text, kind = role) {
  const body = element("div", text);
  const article = element("article", "", element("h3", role), body);
  article.className = kind;
  talk.append(article);
  talk.scrollTop = talk.scrollHeight;
  return body;
}

function asDataUrl(file) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.onerror = () => reject(new Error(`${file.name} cannot be read`));
    reader.readAsDataURL(file);
  });
}

function tools() {
  if (!field("with_tools").checked) return [];
  try {
    const read = JSON.parse(field("tools").value);
    if (!Array.isArray(read)) throw new Error("it is not a list");
    return read;
  } catch (error) {
    throw new Error(`The tools are not valid JSON: ${error.message}`);
  }
}

function request(newest) {
  const system = field("system").value.trim();
  const body = {
    model: field("model").value.trim(),
    messages: [...(system ? [{ role: "system", content: system }] : []), ...messages, ...newest],
    stream: true,
    stream_options: { include_usage: true },
  };
  const offered = tools();
  if (offered.length) body.tools = offered;
  return body;
}

// In single quotes a shell takes everything as it is, except a single quote.
const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

function curl() {
  const text = field("message").value;
  let body;
  try {
    body = request(text ? [{ role: "user", content: text }] : []);
  } catch (error) {
    return error.message;
  }
  const key = form.dataset.key ? ' \\\n  -H "authorization: Bearer $API_KEY"' : "";
  return `curl -N ${quoted(ENDPOINT)} \\\n  -H 'content-type: application/json'${key} \\\n  -d ${quoted(JSON.stringify(body, null, 2))}`;
}

function showCurl() {
  document.getElementById("curl").textContent = curl();
}

async function* events(answer) {
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    while (true) {
      const { done, value } = await reader.read();
      if (done) return;
      const lines = (rest + value).split("\n");
      rest = lines.pop();
      for (const line of lines) {
        if (line.startsWith("data: ") && line !== "data: [DONE]") yield JSON.parse(line.slice(6));
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

function addCalls(calls, pieces) {
  for (const piece of pieces) {
    const call = (calls[piece.index] ??= { id: "", type: "function", function: { name: "", arguments: "" } });
    if (piece.id) call.id = piece.id;
    call.function.name += piece.function?.name ?? "";
    call.function.arguments += piece.function?.arguments ?? "";
  }
}

async function read(answer, body, began) {
  const reply = { text: "", calls: [], usage: null, first: 0, finish: "" };
  for await (const chunk of events(answer)) {
    if (chunk.error) throw new Error(chunk.error.message);
    if (chunk.usage) reply.usage = chunk.usage;
    const choice = chunk.choices?.[0];
    if (!choice) continue;
    if (choice.finish_reason) reply.finish = choice.finish_reason;
    if (choice.delta.content || choice.delta.tool_calls) reply.first ||= performance.now() - began;
    if (choice.delta.content) {
      reply.text += choice.delta.content;
      body.append(choice.delta.content);
      talk.scrollTop = talk.scrollHeight;
    }
    addCalls(reply.calls, choice.delta.tool_calls ?? []);
  }
  return reply;
}

function told(reply, began) {
  const usage = reply.usage;
  const words = [`first token ${Math.round(reply.first)} ms`, `total ${((performance.now() - began) / 1000).toFixed(1)} s`];
  if (usage) words.push(`${usage.prompt_tokens} tokens in`, `${usage.completion_tokens} out`, `${usage.prompt_tokens_details?.cached_tokens ?? 0} cached`);
  if (reply.finish && reply.finish !== "stop") words.push(`ended with ${reply.finish}`);
  return words.join(" · ");
}

function busy(yes) {
  document.getElementById("send").disabled = yes;
  document.getElementById("stop").hidden = !yes;
  talk.setAttribute("aria-busy", String(yes));
}

async function refusal(answer) {
  const text = await answer.text();
  let message = text.slice(0, 500);
  try { message = JSON.parse(text).error.message; } catch { /* it is not the proxy's own */ }
  return new Error(`${answer.status}: ${message}`);
}

async function ask(newest) {
  const began = performance.now();
  running = new AbortController();
  busy(true);
  facts.textContent = "Waiting for the first token …";
  let body;
  try {
    const answer = await fetch(ENDPOINT, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(request(newest)),
      signal: running.signal,
    });
    if (!answer.ok) throw await refusal(answer);
    body = show("assistant", "");
    const reply = await read(answer, body, began);
    messages.push(...newest, keep(reply));
    facts.textContent = told(reply, began);
    if (reply.calls.length) askForResults(reply.calls, body);
  } catch (error) {
    facts.textContent = error.name === "AbortError" ? "Stopped. What was said until then is not part of the conversation." : "";
    if (error.name !== "AbortError") show("error", error.message, "bad");
  } finally {
    if (body && !body.textContent && !body.children.length) body.parentElement.remove();
    running = null;
    busy(false);
    showCurl();
  }
}

function keep(reply) {
  const message = { role: "assistant", content: reply.text || null };
  if (reply.calls.length) message.tool_calls = reply.calls;
  return message;
}

function askForResults(calls, body) {
  const answers = calls.map((call) => {
    body.append(element("code", `${call.function.name}(${call.function.arguments})`), "\n");
    const area = element("textarea", "");
    area.rows = 2;
    area.className = "code";
    area.value = '{"temperature": 21, "unit": "celsius"}';
    const label = element("label", `The result of ${call.function.name}`, area);
    body.append(label);
    return [call, area];
  });
  const button = element("button", "Send the results");
  button.type = "button";
  button.addEventListener("click", () => {
    button.disabled = true;
    for (const [, area] of answers) area.readOnly = true;
    ask(answers.map(([call, area]) => ({ role: "tool", tool_call_id: call.id, content: area.value })));
  });
  body.append(button);
}

async function send() {
  const text = field("message").value;
  try {
    tools();
    const images = await Promise.all([...field("images").files].map(asDataUrl));
    const parts = images.map((url) => ({ type: "image_url", image_url: { url } }));
    const body = show("you", text, "user");
    for (const url of images) {
      const image = element("img");
      image.src = url;
      image.alt = "An image that you sent";
      body.append(image);
    }
    field("message").value = "";
    field("images").value = "";
    await ask([{ role: "user", content: parts.length ? [...parts, { type: "text", text }] : text }]);
  } catch (error) {
    show("error", error.message, "bad");
  }
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  if (!running) send();
});
form.addEventListener("input", () => {
  document.getElementById("tools").hidden = !field("with_tools").checked;
  showCurl();
});
field("message").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
});
document.getElementById("stop").addEventListener("click", () => running?.abort());
document.getElementById("again").addEventListener("click", () => {
  running?.abort();
  messages = [];
  talk.replaceChildren();
  facts.textContent = "";
  showCurl();
  field("message").focus();
});
document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-model]");
  if (!link) return;
  event.preventDefault();
  field("model").value = link.dataset.model;
  showCurl();
  form.scrollIntoView({ block: "center" });
  field("message").focus({ preventScroll: true });
});
form.hidden = false;
showCurl();
