// Keeps the page current, and sends what its buttons and forms ask for. The server makes the page: it is
// fetched again, and the parts that differ are replaced. Only a variable of this file holds the admin token.
"use strict";

const REFRESH_MS = 3000;
let token = "";
let last = Promise.resolve();
let waiting = 0;

const byId = (id) => document.getElementById(id);
const path = (call) => `${document.body.dataset.model}/${call}`; // relative: a proxy may add a prefix

function headers() {
  if (!token) return {};
  // fetch takes bytes only, and throws at other letters; the server compares the bytes of UTF-8.
  const bytes = new TextEncoder().encode(`Bearer ${token}`);
  return { Authorization: String.fromCharCode(...bytes) };
}

async function call(address, options = {}) {
  const sent = fetch(address, { ...options, headers: { ...options.headers, ...headers() } });
  const answer = await sent.catch(() => Promise.reject(new Error("the server does not answer")));
  const said = await answer.json();
  if (answer.ok) return said;
  if (answer.status !== 401) throw new Error(said.error);
  token = "";
  throw new Error("wrong admin token");
}

function post(name, body) {
  const options = { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  return call(path(name), options);
}

function notice(text) {
  byId("notice").textContent = text;
  clearTimeout(notice.timer);
  notice.timer = setTimeout(() => (byId("notice").textContent = ""), 8000);
}

// ---------------------------------------------------------------------------------- staying current

function exchange(old, fresh, force) {
  const differs = old.source !== fresh.innerHTML;
  const isWaiting = differs && !force && "patient" in old.dataset && isBeingRead(old);
  if ("patient" in old.dataset) offer(isWaiting);
  if (!differs || isWaiting) return;
  const open = [...old.querySelectorAll("details[open]")].map((each) => each.dataset.key);
  const scrolled = [...old.querySelectorAll(".scroll")].map((each) => [selectorOf(each), each.scrollLeft]);
  const plots = new Map([...old.querySelectorAll(".plot")].map((each) => [each.ariaLabel, each]));
  const comeBack = old.contains(document.activeElement) ? place(document.activeElement) : null;
  old.source = fresh.innerHTML;
  old.innerHTML = fresh.innerHTML;
  for (const each of old.querySelectorAll("details")) each.open = open.includes(each.dataset.key);
  for (const made of old.querySelectorAll(".plot")) keep(plots, made);
  for (const gone of plots.values()) Plotly.purge(gone);
  for (const [selector, left] of scrolled) old.querySelector(selector)?.scrollTo({ left });
  comeBack?.();
}

function isBeingRead(part) {
  const isSelected = !getSelection().isCollapsed && getSelection().containsNode(part, true);
  return isSelected || part.contains(document.activeElement) || Boolean(part.querySelector("details[open]"));
}

function offer(isWaiting) {
  if (isWaiting === Boolean(byId("waiting").firstChild)) return;
  const button = element("button", "Show them");
  button.type = "button";
  button.addEventListener("click", async () => {
    await refresh(true);
    byId("recent-title").focus();
  });
  byId("waiting").replaceChildren(...(isWaiting ? ["There are newer predictions and labels. ", button] : []));
}

function keep(plots, made) {
  const kept = plots.get(made.ariaLabel);
  if (!kept) return draw(made);
  plots.delete(made.ariaLabel);
  made.replaceWith(kept);
  if (kept.dataset.figure === made.dataset.figure) return;
  kept.dataset.figure = made.dataset.figure;
  draw(kept);
}

function selectorOf(element) {
  const details = element.closest("details");
  const within = details ? `details[data-key="${details.dataset.key}"] ` : "";
  if (element.tagName === "SUMMARY") return `${within}> summary`;
  if (element.matches(".scroll")) return `${within}.scroll[aria-label="${element.ariaLabel}"]`;
  if (element.matches("nav a")) return `#${element.closest("nav").id} a[href="${element.getAttribute("href")}"]`;
  const { do: act, version, run } = element.dataset;
  if (!act) return null;
  return `[data-do="${act}"]` + (version ? `[data-version="${version}"]` : "") + (run ? `[data-run="${run}"]` : "");
}

// Returns a function that puts the focus back on an element, or on the heading of its section if it is gone.
function place(element) {
  const selector = selectorOf(element);
  const title = element.closest("section")?.querySelector("h2").id;
  return () => {
    const same = selector && document.querySelector(selector);
    same?.focus();
    if (title && (!same || document.activeElement !== same)) byId(title).focus();
  };
}

function show(page, force) {
  const isOther = page.body.dataset.model !== document.body.dataset.model;
  document.body.dataset.model = page.body.dataset.model;
  document.title = page.title;
  for (const old of document.querySelectorAll(isOther ? "[data-live], [data-model-part]" : "[data-live]")) {
    const fresh = page.getElementById(old.id);
    if (fresh) exchange(old, fresh, force || isOther);
  }
}

async function fetchPage(force) {
  const address = location.href;
  let state = "live";
  try {
    const answer = await fetch(address, { headers: headers() });
    if (!answer.ok) throw new Error(String(answer.status));
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const isNewer = page.documentElement.dataset.made !== document.documentElement.dataset.made;
    if (isNewer) state = "the server has a newer page: reload it";
    else if (address === location.href) show(page, force);
  } catch {
    state = "no answer";
  }
  byId("pulse").classList.toggle("lost", state !== "live");
  if (byId("pulse").textContent !== state) byId("pulse").textContent = state;
}

// One after the other: a refresh after a change must not show the state before it.
function refresh(force = false) {
  waiting += 1;
  last = last.then(() => fetchPage(force)).finally(() => (waiting -= 1));
  return last;
}

document.addEventListener("click", (event) => {
  const link = event.target.closest("nav a");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  if (link.href !== location.href) history.pushState(null, "", link.href);
  refresh(true);
});

window.addEventListener("popstate", () => refresh(true));

// --------------------------------------------------------------------------------------- steering

// Asks for the token and the reason if needed, then acts. The input stays until that succeeds or is closed.
function ask(title, wantsReason, act) {
  const dialog = byId("ask");
  const form = dialog.querySelector("form");
  const missing = () => {
    byId("ask-token").hidden = Boolean(token);
    form.token.required = !token;
  };
  form.reset();
  byId("ask-title").textContent = title;
  byId("ask-error").textContent = "";
  byId("ask-reason").hidden = !wantsReason;
  form.reason.required = wantsReason;
  missing();
  form.onsubmit = async (event) => {
    event.preventDefault();
    if (!token) token = form.token.value;
    byId("ask-error").textContent = "";
    event.submitter.disabled = true; // once is enough
    const failed = await act(form.reason.value).then(() => null, (error) => error);
    event.submitter.disabled = false;
    if (!failed) return dialog.close();
    byId("ask-error").textContent = failed.message;
    missing();
    (token ? event.submitter : form.token).focus();
    form.token.select();
  };
  dialog.showModal();
  return new Promise((resolve) => (dialog.onclose = resolve)).finally(() => form.reset());
}

async function steer(button) {
  const { do: act, version, run } = button.dataset;
  const model = document.body.dataset.model;
  const comeBack = place(button);
  const titles = {
    retrain: `Retrain ${model}?`,
    cancel: "Cancel this retraining?",
    promote: `Make ${version} the champion of ${model}?`,
    rollback: `Go back to the previous champion of ${model}?`,
  };
  const bodies = { retrain: { force: byId("force").checked }, cancel: { run_id: run }, promote: { version }, rollback: {} };
  const send = async (reason) => {
    const said = await post(act, reason ? { ...bodies[act], reason } : bodies[act]);
    notice(said.to ? `${said.to} is the champion: workers follow within two seconds` : `the retraining is ${said.status}`);
  };
  const wantsReason = act === "promote" || act === "rollback";
  if (wantsReason || !token) await ask(titles[act], wantsReason, send);
  else await send().catch((error) => notice(error.message));
  locked();
  await refresh();
  if (document.activeElement === document.body) comeBack();
}

function locked() {
  const button = byId("unlock");
  if (button) button.textContent = token ? "Lock" : "Unlock";
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-do]");
  if (button) steer(button);
});

byId("leave").addEventListener("click", () => byId("ask").close());

byId("unlock")?.addEventListener("click", async () => {
  if (token) token = "";
  else await ask("Unlock this page", false, () => call(path("predictions?limit=1")));
  locked();
  await refresh(true);
});

// ------------------------------------------------------------------------ predicting, and giving labels

function element(tag, text, className = "") {
  const made = document.createElement(tag);
  made.textContent = text;
  made.className = className;
  return made;
}

const READS = { text: String, number: Number, flag: (value) => value === "true" };

function row(form) {
  const found = {};
  for (const field of form.querySelectorAll("[name]")) {
    if (field.value === "") continue;
    found[field.name] = READS[field.dataset.reads](field.value);
  }
  return found;
}

function percent(share) {
  return `${(100 * share).toFixed(1)}\u00a0%`;
}

// By kind of target: the lines of an answer, and the label that says that it was right.
const TARGETS = {
  classes: { lines: classLines, label: (said) => said.predicted_class },
  quantity: { lines: quantityLines, label: (said) => said.predicted_value },
};

function targetOf() {
  return TARGETS[byId("labels").content.firstElementChild.dataset.target];
}

function classLines(said) {
  const shown = [element("p", "", "said")];
  shown[0].append(element("b", said.predicted_class), ` ${percent(said.probabilities[said.predicted_class])}`);
  for (const [name, p] of Object.entries(said.probabilities)) {
    const line = element("div", "", "bar-row");
    const meter = element("meter", "");
    meter.max = 1;
    meter.value = p;
    meter.setAttribute("aria-label", `probability of ${name}`);
    line.append(element("span", name), meter, element("span", percent(p), "note right"));
    shown.push(line);
  }
  return shown;
}

function quantityLines(said) {
  const shown = [element("p", "", "said"), element("p", "", "note")];
  const number = (value) => value.toLocaleString("en", { maximumSignificantDigits: 5 });
  shown[0].append(element("b", `${number(said.predicted_value)} ${said.unit}`.trim()));
  const { level, low, high } = said.interval;
  shown[1].textContent = `with a probability of ${percent(level)} from ${number(low)} to ${number(high)}`;
  return shown;
}

function tell(said) {
  const shown = targetOf().lines(said);
  for (const warning of said.warnings) shown.push(element("p", `${called(warning.loc[0])}: ${warning.msg}`, "warn"));
  shown.push(element("p", `by ${said.version}, id ${said.prediction_id}`, "note mono"));
  if (said.prediction_id) shown.push(labels(said));
  byId("answer").replaceChildren(...shown);
}

function labels(said) {
  const form = byId("labels").content.firstElementChild.cloneNode(true);
  const field = form.querySelector("select, input");
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const label = event.submitter?.name === "label" ? targetOf().label(said) : JSON.parse(field.value);
    try {
      const answer = await post("feedback", { prediction_id: said.prediction_id, label, correct: true });
      const done = element("p", `${answer.status}: the label is ${answer.label}`, "good");
      done.tabIndex = -1;
      form.replaceChildren(done);
      done.focus();
    } catch (error) {
      notice(error.message);
    }
    await refresh();
  });
  return form;
}

// Returns the name of a feature as its field shows it.
function called(name) {
  return byId("predict").elements[name]?.closest("label").querySelector("span").firstChild.textContent.trim() ?? name;
}

// The messages of the server are about JSON: null there is an empty field in the form.
function inForm(message) {
  return message.replace(/ or null$/, ", or left empty");
}

function mark(form, lines, names) {
  byId("answer").replaceChildren(...lines.map((line) => element("p", line, "error")));
  const fields = names.map((name) => form.elements[name]).filter(Boolean);
  for (const field of fields) {
    field.setAttribute("aria-invalid", "true");
    field.setAttribute("aria-describedby", "answer");
  }
  fields[0]?.focus();
}

async function predict(form) {
  const fields = [...form.querySelectorAll("[name]")];
  for (const field of fields) field.removeAttribute("aria-invalid");
  for (const field of fields) field.removeAttribute("aria-describedby");
  const mistyped = fields.filter((field) => field.validity.badInput).map((field) => field.name);
  if (mistyped.length) return mark(form, mistyped.map((name) => `${called(name)} is not a number`), mistyped);
  const options = { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(row(form)) };
  try {
    const answer = await fetch(path("predict"), options);
    const said = await answer.json();
    if (!form.isConnected) return; // another model was chosen meanwhile
    if (answer.ok) return tell(said);
    const lines = said.detail.map((each) => `${called(each.loc[0])} ${inForm(each.msg)}`);
    mark(form, lines.length ? lines : [said.error], said.detail.map((each) => each.loc[0]));
  } catch {
    mark(form, ["the server does not answer"], []);
  }
}

document.addEventListener("submit", async (event) => {
  if (event.target.id !== "predict") return;
  event.preventDefault();
  await predict(event.target);
  await refresh();
});

for (const part of document.querySelectorAll("[data-live], [data-model-part]")) part.source = part.innerHTML;
setInterval(() => document.hidden || waiting || refresh(), REFRESH_MS);
