// Keeps the page true, and gives it hands. The page is made by the server: it is fetched again, and the
// parts that differ are exchanged. The admin token lives in a variable of this file and nowhere else.
"use strict";

const REFRESH_MS = 3000;
const model = document.body.dataset.model;
let token = "";
let refreshing = null;

const byId = (id) => document.getElementById(id);

function headers() {
  return token ? { Authorization: `Bearer ${token}` } : {};
}

async function post(call, body) {
  const answer = await fetch(`/${model}/${call}`, {
    method: "POST",
    headers: { "Content-Type": "application/json", ...headers() },
    body: JSON.stringify(body),
  });
  const said = await answer.json();
  if (answer.ok) return said;
  if (answer.status === 401) token = "";
  throw new Error(said.error);
}

function notice(text) {
  byId("notice").textContent = text;
  clearTimeout(notice.timer);
  notice.timer = setTimeout(() => (byId("notice").textContent = ""), 8000);
}

// ---------------------------------------------------------------------------------- staying true

function exchange(old, fresh) {
  if (old.source === fresh.innerHTML) return;
  const open = [...old.querySelectorAll("details[open]")].map((each) => each.dataset.key);
  const focused = old.contains(document.activeElement) ? describe(document.activeElement) : null;
  for (const plot of old.querySelectorAll(".plot")) Plotly.purge(plot);
  old.source = fresh.innerHTML;
  old.innerHTML = fresh.innerHTML;
  for (const each of old.querySelectorAll("details")) each.open = open.includes(each.dataset.key);
  for (const plot of old.querySelectorAll(".plot")) draw(plot);
  if (focused) old.querySelector(focused)?.focus();
}

function describe(element) {
  const details = element.closest("details");
  if (element.tagName === "SUMMARY" && details) return `details[data-key="${details.dataset.key}"] > summary`;
  const { do: act, version, run } = element.dataset;
  if (!act) return null;
  return `[data-do="${act}"]` + (version ? `[data-version="${version}"]` : "") + (run ? `[data-run="${run}"]` : "");
}

async function fetchPage() {
  const pulse = byId("pulse");
  try {
    const answer = await fetch(location.href, { headers: headers() });
    if (!answer.ok) throw new Error(String(answer.status));
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const old of document.querySelectorAll("[data-live]")) {
      const fresh = page.getElementById(old.id);
      if (fresh) exchange(old, fresh);
    }
    pulse.textContent = "live";
    pulse.classList.remove("lost");
  } catch {
    pulse.textContent = "no answer";
    pulse.classList.add("lost");
  }
}

function refresh() {
  refreshing ??= fetchPage().finally(() => (refreshing = null));
  return refreshing;
}

// --------------------------------------------------------------------------------------- steering

function ask(title, wantsReason) {
  const dialog = byId("ask");
  const form = dialog.querySelector("form");
  form.reset();
  byId("ask-title").textContent = title;
  byId("ask-error").textContent = "";
  byId("ask-reason").hidden = !wantsReason;
  byId("ask-token").hidden = Boolean(token);
  form.reason.required = wantsReason;
  form.token.required = !token;
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.onclose = () => {
      if (dialog.returnValue !== "go") return resolve(null);
      if (!token) token = form.token.value;
      resolve({ reason: form.reason.value });
      form.reset();
    };
  });
}

async function steer(act, { version, run }) {
  const titles = {
    retrain: `Retrain ${model}?`,
    cancel: "Cancel this retraining?",
    promote: `Make ${version} the champion of ${model}?`,
    rollback: `Go back to the champion before, of ${model}?`,
  };
  const wantsReason = act === "promote" || act === "rollback";
  if (wantsReason || !token) {
    const given = await ask(titles[act], wantsReason);
    if (!given) return;
    var reason = given.reason;
  }
  const bodies = {
    retrain: { force: true },
    cancel: { run_id: run },
    promote: { version, reason },
    rollback: { reason },
  };
  try {
    const said = await post(act, bodies[act]);
    notice(said.to ? `${said.to} is the champion: workers follow within two seconds` : `the retraining is ${said.status}`);
  } catch (error) {
    notice(error.message);
  }
  locked();
  await refresh();
}

function locked() {
  const button = byId("unlock");
  if (button) button.textContent = token ? "Lock" : "Unlock";
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-do]");
  if (button) steer(button.dataset.do, button.dataset);
});

byId("unlock")?.addEventListener("click", async () => {
  if (token) {
    token = "";
  } else if (await ask("Unlock this page", false)) {
    const answer = await fetch(`/${model}/predictions?limit=1`, { headers: headers() });
    if (!answer.ok) {
      token = "";
      notice((await answer.json()).error);
    }
  }
  locked();
  await refresh();
});

// ------------------------------------------------------------------------ predicting, and being told

function element(tag, text, className = "") {
  const made = document.createElement(tag);
  made.textContent = text;
  made.className = className;
  return made;
}

function row(form) {
  const found = {};
  for (const field of form.querySelectorAll("[name]")) {
    if (field.value === "") continue;
    found[field.name] = field.tagName === "SELECT" ? field.value : Number(field.value);
  }
  return found;
}

function percent(share) {
  return `${(100 * share).toFixed(1)}\u00a0%`;
}

function show(said) {
  const shown = [element("p", "", "said")];
  shown[0].append(element("b", said.predicted_class), ` ${percent(said.probabilities[said.predicted_class])}`);
  for (const [name, p] of Object.entries(said.probabilities)) {
    const line = element("div", "", "bar-row");
    const meter = element("meter", "");
    meter.max = 1;
    meter.value = p;
    meter.setAttribute("aria-label", `probability of ${name}`);
    line.append(element("span", name), meter, element("span", percent(p), "note"));
    shown.push(line);
  }
  for (const warning of said.warnings) shown.push(element("p", `${warning.loc[0]}: ${warning.msg}`, "warn"));
  shown.push(element("p", `by ${said.version}, id ${said.prediction_id}`, "note mono"));
  if (said.prediction_id) shown.push(labels(said));
  byId("answer").replaceChildren(...shown);
}

function labels(said) {
  const form = byId("labels").content.firstElementChild.cloneNode(true);
  const select = form.querySelector("select");
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const label = event.submitter?.name === "label" ? said.predicted_class : select.value;
    try {
      const answer = await post("feedback", { prediction_id: said.prediction_id, label, correct: true });
      form.replaceChildren(element("p", `${answer.status}: it is ${answer.label}`, "good"));
    } catch (error) {
      notice(error.message);
    }
    await refresh();
  });
  return form;
}

byId("predict").addEventListener("submit", async (event) => {
  event.preventDefault();
  for (const field of event.target.querySelectorAll("[name]")) field.removeAttribute("aria-invalid");
  try {
    const answer = await fetch(`/${model}/predict`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(row(event.target)),
    });
    const said = await answer.json();
    if (answer.ok) {
      show(said);
    } else {
      const lines = said.detail.length ? said.detail.map((each) => `${each.loc.join(" ")}: ${each.msg}`) : [said.error];
      byId("answer").replaceChildren(...lines.map((line) => element("p", line, "error")));
      for (const each of said.detail) event.target.elements[each.loc[0]]?.setAttribute("aria-invalid", "true");
    }
  } catch {
    byId("answer").replaceChildren(element("p", "the server does not answer", "error"));
  }
  await refresh();
});

for (const live of document.querySelectorAll("[data-live]")) live.source = live.innerHTML;
setInterval(() => document.hidden || refresh(), REFRESH_MS);
