// Reads a run's items from the page, filters and sorts them, and shows a page of them at a time.
// Whatever comes from a model or a data set is put on the page as text, never as markup.
"use strict";

const PER_PAGE = 20;
const KEPT_BLOCKS = 60;      // unpacked blocks of texts that stay in memory
const MOST_STEPS = 4e6;      // of a comparison word by word
const PROMPT_END = 320;      // characters of a prompt that are shown at first
const ZONES = { 1: "uncertain", 2: "between", 3: "saturated" };
const FLIPS = [
  ["", "all", "every item"],
  ["won", "wrong → right", "wrong before, right after; better, where a task knows no right and wrong"],
  ["lost", "right → wrong", "right before, wrong after; worse, where a task knows no right and wrong"],
  ["moved", "other change", "neither, but the answers differ"],
  ["same", "same", "both answers are the same"],
];
const byId = (id) => document.getElementById(id);

// Making elements

function make(tag, className, ...children) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.append(...children.filter((child) => child !== null));
  return element;
}

function number(value) {
  if (value === null || value === undefined) return "–";
  if (Number.isInteger(value)) return String(value);
  const size = Math.abs(value);
  return size >= 1000 ? value.toFixed(0) : size >= 0.001 ? value.toFixed(4).replace(/0{1,2}$/, "")
    : value.toExponential(1);
}

const counted = (value) => value.toLocaleString("en-US");

// Unpacking

async function unpack(id) {
  const packed = byId(id).textContent;
  const bytes = Uint8Array.from(atob(packed), (character) => character.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return JSON.parse(await new Response(stream).text());
}

class Texts {
  // Prompts and answers of items, unpacked block by block; the least lately used go first.
  constructor(starts) {
    this.starts = starts;
    this.blocks = new Map();
  }

  blockOf(item) {
    let low = 0, high = this.starts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.starts[middle] <= item) low = middle; else high = middle - 1;
    }
    return low;
  }

  block(place) {
    const found = this.blocks.get(place) || unpack(`block-${place}`);
    this.blocks.delete(place);
    this.blocks.set(place, found);
    if (this.blocks.size > KEPT_BLOCKS) this.blocks.delete(this.blocks.keys().next().value);
    return found;
  }

  async of(item) {
    const place = this.blockOf(item);
    return (await this.block(place))[item - this.starts[place]];
  }
}

// Items by number: their columns, and what follows from them for the measure that is looked at

class Items {
  constructor(index) {
    this.tasks = index.tasks;
    this.count = this.tasks.reduce((sum, task) => sum + task.doc.length, 0);
    this.taskOf = new Uint16Array(this.count);
    this.placeOf = new Uint32Array(this.count);
    let item = 0;
    this.tasks.forEach((task, number) => {
      task.binary = task.scores.find(isBinary) || null;
      for (let place = 0; place < task.doc.length; place++, item++) {
        this.taskOf[item] = number;
        this.placeOf[item] = place;
      }
    });
    this.change = new Float64Array(this.count);
    this.flip = new Int8Array(this.count);
    this.moved = new Uint8Array(this.count);
  }

  task(item) { return this.tasks[this.taskOf[item]]; }

  column(item, name) { return this.task(item)[name][this.placeOf[item]]; }

  measureOf(task, chosen) {
    const named = (name) => task.scores.find((own) => own.name === name);
    if (chosen) return named(chosen) || null;
    return named("prob") || task.binary || task.scores[0] || null;
  }

  // Change and flip of every item.
  look(chosen) {
    for (let item = 0; item < this.count; item++) {
      const task = this.task(item), place = this.placeOf[item];
      const measure = this.measureOf(task, chosen);
      this.change[item] = measure ? gain(measure, place) : 0;
      const judged = measure && isBinaryMeasure(measure) ? measure : task.binary || measure;
      this.flip[item] = judged ? Math.sign(gain(judged, place)) : 0;
      this.moved[item] = this.flip[item] === 0 && (this.change[item] !== 0 || task.shift[place] > 0);
    }
  }

  flipName(item) {
    return this.flip[item] > 0 ? "won" : this.flip[item] < 0 ? "lost" : this.moved[item] ? "moved" : "same";
  }
}

function gain(measure, place) {
  const before = measure.before[place], after = measure.after[place];
  if (before === null || after === null) return 0;
  const difference = measure.higher ? after - before : before - after;
  const scale = Math.max(Math.abs(before), Math.abs(after));
  return Math.abs(difference) <= 1e-5 * scale ? 0 : difference;  // another batch differs as much
}

function isBinary(measure) {
  const right = (value) => value === 0 || value === 1 || value === null;
  measure.binary = measure.after.every(right) && measure.before.every(right);
  return measure.binary;
}

const isBinaryMeasure = (measure) =>
  measure.binary === undefined ? isBinary(measure) : measure.binary;

// Differences word by word

function tokens(text) { return text.match(/\s+|[\p{L}\p{N}_]+|[^\s\p{L}\p{N}_]/gu) || []; }

function differences(before, after) {
  // Two lists of [text, differs], by the longest common subsequence of what lies between the common
  // ends; texts too long for that are marked as a whole there.
  const a = tokens(before), b = tokens(after);
  let start = 0, end = 0;
  while (start < a.length && start < b.length && a[start] === b[start]) start++;
  while (end < a.length - start && end < b.length - start
    && a[a.length - 1 - end] === b[b.length - 1 - end]) end++;
  const first = a.slice(start, a.length - end), second = b.slice(start, b.length - end);
  const [keptA, keptB] = common(first, second);
  const marked = (own, kept, all) => joined([
    ...all.slice(0, start).map((word) => [word, false]),
    ...own.map((word, n) => [word, !kept[n]]),
    ...all.slice(all.length - end).map((word) => [word, false]),
  ]);
  return [marked(first, keptA, a), marked(second, keptB, b)];
}

function common(a, b) {
  const keptA = new Uint8Array(a.length), keptB = new Uint8Array(b.length);
  if (a.length * b.length > MOST_STEPS) return [keptA, keptB];
  const width = b.length + 1;
  const longest = new Uint16Array((a.length + 1) * width);
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) {
      longest[i * width + j] = a[i] === b[j] ? longest[(i + 1) * width + j + 1] + 1
        : Math.max(longest[(i + 1) * width + j], longest[i * width + j + 1]);
    }
  }
  for (let i = 0, j = 0; i < a.length && j < b.length;) {
    if (a[i] === b[j]) { keptA[i++] = 1; keptB[j++] = 1; }
    else if (longest[(i + 1) * width + j] >= longest[i * width + j + 1]) i++;
    else j++;
  }
  return [keptA, keptB];
}

function joined(words) {
  const parts = [];
  for (const [word, differs] of words) {
    const last = parts[parts.length - 1];
    if (last && last[1] === differs) last[0] += word; else parts.push([word, differs]);
  }
  return parts;
}

// The page

class View {
  constructor(index) {
    this.items = new Items(index);
    this.texts = new Texts(index.blocks);
    this.state = { task: "", flip: "", zone: "", measure: "", sort: "change", search: "", page: 0 };
    this.found = [];
    this.matching = null;   // items whose texts hold the words searched for; null: no search
    this.searching = 0;
    this.title(index.run);
    this.controls();
    this.restore();
    this.items.look(this.state.measure);
    this.update({ keepPage: true });
    if (this.state.search) this.search();
  }

  title(run) {
    byId("title").textContent = run.title;
    byId("file").textContent = run.file;
  }

  // What can be chosen

  controls() {
    const { tasks, count } = this.items;
    options(byId("task"), [["", `all (${counted(count)})`], ...tasks.map((own, number) => [
      String(number), `${taskName(own)} (${counted(own.doc.length)})`])]);
    const measures = new Set(tasks.flatMap((own) => own.scores.map((score) => score.name)));
    options(byId("measure"), [["", "each task's own"], ...[...measures].map((own) => [own, own])]);
    for (const name of ["task", "measure", "sort"]) {
      byId(name).addEventListener("change", (event) => this.choose(name, event.target.value));
    }
    this.group("flip", FLIPS);
    const zones = [1, 2, 3].map((zone) => [String(zone), `${zone} ${ZONES[zone]}`, ""]);
    const without = tasks.some((own) => own.zone.includes(0)) ? [["0", "none", "no gate"]] : [];
    this.group("zone", [["", "all", "every zone"], ...zones, ...without]);
    let waiting;
    byId("search").addEventListener("input", (event) => {
      clearTimeout(waiting);
      waiting = setTimeout(() => { this.state.search = event.target.value; this.search(); }, 180);
    });
    byId("filters").addEventListener("submit", (event) => event.preventDefault());
    byId("first").addEventListener("click", () => this.turn(-Infinity));
    byId("previous").addEventListener("click", () => this.turn(-1));
    byId("next").addEventListener("click", () => this.turn(1));
    byId("last").addEventListener("click", () => this.turn(Infinity));
    document.addEventListener("keydown", (event) => this.key(event));
  }

  group(name, choices) {
    for (const [value, label, hint] of choices) {
      const button = make("button", "", label, make("small", ""));
      button.type = "button";
      button.title = hint;
      button.dataset.value = value;
      button.addEventListener("click", () => this.choose(name, value));
      byId(name).append(button);
    }
  }

  choose(name, value) {
    this.state[name] = value;
    if (name === "measure") this.items.look(value);
    this.update({});
  }

  reset() {
    Object.assign(this.state, { task: "", flip: "", zone: "", search: "" });
    byId("search").value = "";
    this.matching = null;
    this.searching++;
    this.update({});
  }

  // The choice stands in the address, so that it can be kept and passed on.

  restore() {
    const given = new URLSearchParams(location.hash.slice(1));
    for (const name of Object.keys(this.state)) {
      if (given.has(name)) this.state[name] = given.get(name);
    }
    this.state.page = Math.max(0, Number(this.state.page) || 0);
    const known = (id) => [...byId(id).options].some((own) => own.value === this.state[id]);
    if (!known("task")) this.state.task = "";
    if (!known("measure")) this.state.measure = "";
    if (!known("sort")) this.state.sort = "change";
    byId("search").value = this.state.search;
  }

  remember() {
    const kept = Object.entries(this.state).filter(([name, value]) =>
      value !== "" && value !== 0 && !(name === "sort" && value === "change"));
    const hash = new URLSearchParams(kept.map(([name, value]) => [name, String(value)])).toString();
    history.replaceState(null, "", hash ? `#${hash}` : location.pathname + location.search);
  }

  // Which items are shown

  passes(item, leaving) {
    const { items, state } = this;
    return (leaving === "task" || state.task === "" || items.taskOf[item] === Number(state.task))
      && (leaving === "flip" || state.flip === "" || items.flipName(item) === state.flip)
      && (leaving === "zone" || state.zone === "" || items.column(item, "zone") === Number(state.zone))
      && (this.matching === null || this.matching[item] === 1);
  }

  update({ keepPage = false }) {
    const { items, state } = this;
    const found = [];
    const flips = {}, zones = {};
    for (let item = 0; item < items.count; item++) {
      if (this.passes(item)) found.push(item);
      if (this.passes(item, "flip")) count(flips, items.flipName(item));
      if (this.passes(item, "zone")) count(zones, items.column(item, "zone"));
    }
    this.found = found.sort(this.order());
    if (!keepPage) state.page = 0;
    state.page = Math.min(state.page, this.lastPage());
    for (const name of ["task", "measure", "sort"]) byId(name).value = state[name];
    press("flip", state.flip, flips);
    press("zone", state.zone, zones);
    this.tiles();
    this.show();
  }

  order() {
    const { items } = this;
    const size = (item) => Math.abs(items.change[item]);
    const shift = (item) => items.column(item, "shift");
    const flipped = (item) => Math.abs(items.flip[item]);
    const confidence = (item) => items.column(item, "confidence") ?? 2;
    const orders = {
      change: (a, b) => size(b) - size(a) || flipped(b) - flipped(a) || shift(b) - shift(a) || a - b,
      up: (a, b) => items.change[b] - items.change[a] || shift(b) - shift(a) || a - b,
      down: (a, b) => items.change[a] - items.change[b] || shift(b) - shift(a) || a - b,
      confidence: (a, b) => confidence(a) - confidence(b) || a - b,
      file: (a, b) => a - b,
    };
    return orders[this.state.sort] || orders.change;
  }

  async search() {
    const turn = ++this.searching;
    const words = this.state.search.toLowerCase().split(/\s+/).filter(Boolean);
    if (!words.length) {
      this.matching = null;
      this.update({});
      return;
    }
    const matching = new Uint8Array(this.items.count);
    const { starts } = this.texts;
    for (let place = 0; place < starts.length; place++) {
      const block = await (this.texts.blocks.get(place) || unpack(`block-${place}`));
      if (turn !== this.searching) return;
      block.forEach((texts, n) => {
        const task = taskName(this.items.task(starts[place] + n));
        const text = searchable(texts, task).toLowerCase();
        matching[starts[place] + n] = words.every((word) => text.includes(word)) ? 1 : 0;
      });
      if (place % 16 === 15) byId("status").textContent = `Searching… ${Math.round(100 * place / starts.length)} %`;
    }
    this.matching = matching;
    this.update({});
  }

  // Showing

  tiles() {
    const { items } = this;
    let open = 0, won = 0, lost = 0;
    for (const item of this.found) {
      open += items.column(item, "open");
      won += items.flip[item] > 0;
      lost += items.flip[item] < 0;
    }
    const tile = (name, value, kind) => make("div", kind, make("dt", "", name), make("dd", "", value));
    const share = this.found.length ? ` (${Math.round(100 * open / this.found.length)} %)` : "";
    byId("tiles").replaceChildren(
      tile("items", counted(this.found.length), ""),
      tile("amplified", counted(open) + share, ""),
      tile("wrong → right", counted(won), "gain"),
      tile("right → wrong", counted(lost), "loss"),
    );
  }

  lastPage() { return Math.max(0, Math.ceil(this.found.length / PER_PAGE) - 1); }

  turn(by) {
    this.state.page = Math.max(0, Math.min(this.lastPage(), this.state.page + by));
    this.show().then(() => {
      window.scrollTo(0, 0);
      document.querySelector(".item")?.focus({ preventScroll: true });
    });
  }

  async show() {
    const { page } = this.state;
    const shown = this.found.slice(page * PER_PAGE, (page + 1) * PER_PAGE);
    const turn = this.showing = (this.showing || 0) + 1;
    const texts = await Promise.all(shown.map((item) => this.texts.of(item)));
    if (turn !== this.showing) return;
    const cards = shown.map((item, n) => card(this.items, item, texts[n], this.state));
    byId("items").replaceChildren(...(cards.length ? cards : [nothing()]));
    const all = this.items.count, first = page * PER_PAGE + 1;
    byId("status").textContent = this.found.length
      ? `${counted(first)} to ${counted(first + shown.length - 1)} of ${counted(this.found.length)}`
        + (this.found.length < all ? ` (${counted(all)} in all)` : "")
      : "No item is like that.";
    byId("place").textContent = `page ${counted(page + 1)} of ${counted(this.lastPage() + 1)}`;
    for (const id of ["first", "previous"]) byId(id).disabled = page === 0;
    for (const id of ["next", "last"]) byId(id).disabled = page === this.lastPage();
    this.remember();
  }

  // Keys

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName);
    if (event.key === "Escape") {
      if (typing) event.target.blur();
      this.reset();
    } else if (typing) {
      return;
    } else if (event.key === "/") {
      byId("search").focus();
      byId("search").select();
    } else if (event.key === "j" || event.key === "k") {
      this.step(event.key === "j" ? 1 : -1);
    } else if (event.key === "n" || event.key === "p") {
      this.turn(event.key === "n" ? 1 : -1);
    } else if (event.key === "Enter" && event.target.classList.contains("item")) {
      event.target.querySelector(".more")?.click();
    } else {
      return;
    }
    event.preventDefault();
  }

  step(by) {
    const cards = [...document.querySelectorAll(".item")];
    const now = cards.indexOf(document.activeElement.closest(".item"));
    const next = cards[Math.max(0, Math.min(cards.length - 1, now + by))];
    next?.focus();
    next?.scrollIntoView({ block: "start" });
  }
}

function count(into, name) { into[name] = (into[name] || 0) + 1; }

function options(select, choices) {
  for (const [value, label] of choices) {
    const option = make("option", "", label);
    option.value = value;
    select.append(option);
  }
}

function press(id, chosen, counts) {
  for (const button of byId(id).children) {
    const { value } = button.dataset;
    button.setAttribute("aria-pressed", String(value === chosen));
    button.lastChild.textContent = value === "" ? "" : counted(counts[value] || 0);
  }
}

const taskName = (task) => task.filter === "none" ? task.task : `${task.task} (${task.filter})`;

function searchable(texts, task) {
  const parts = [task, texts.prompt, texts.target, texts.before, texts.after];
  return [...parts, ...(texts.choices || []).map(([words]) => words)].filter(Boolean).join("\n");
}

// One item

function card(items, item, texts, state) {
  const task = items.task(item);
  const element = make("article", "item", head(items, item, state), ...prompt(texts, state.search));
  element.tabIndex = 0;
  element.setAttribute("aria-label", `${taskName(task)}, document ${items.column(item, "doc")}`);
  if (texts.choices && texts.choices.length > 1) {
    element.append(label("Choices, by their share of the probability"), choices(texts, state.search));
  } else if (texts.choices) {
    element.append(label("Right answer, by its probability"), choices(texts, state.search));
  } else {
    element.append(label("Right answer"), box(texts.target, state.search));
    element.append(answers(texts, state.search));
  }
  return element;
}

function head(items, item, state) {
  const task = items.task(item), place = items.placeOf[item];
  const zone = task.zone[place];
  const confidence = task.confidence[place];
  const flip = items.flip[item];
  const judged = items.measureOf(task, state.measure);
  const words = task.binary || (judged && judged.binary) ? ["right → wrong", "wrong → right"] : ["worse", "better"];
  const chips = [
    zone ? make("span", `chip zone-${zone}`, `zone ${zone}, ${ZONES[zone]}`
      + (confidence === null ? "" : ` · ${number(confidence)}`)) : null,
    make("span", "chip", task.open[place] ? "amplified" : "left alone"),
    flip ? make("span", `chip ${flip > 0 ? "gain" : "loss"}`, words[flip > 0 ? 1 : 0]) : null,
  ];
  const scores = make("div", "scores", ...task.scores.map((own) => make(
    "span", own === judged ? "main" : "", make("span", "name", `${own.name} `),
    own.before[place] === null ? number(own.after[place])
      : `${number(own.before[place])} → ${number(own.after[place])}`)));
  return make("div", "head", make("h2", "", `${taskName(task)} #${task.doc[place]}`), ...chips, scores);
}

function prompt(texts, searched) {
  const whole = texts.prompt;
  if (!whole) return [];
  const cut = whole.length > PROMPT_END ? whole.length - PROMPT_END : 0;
  const end = box((cut ? "… " : "") + whole.slice(cut), searched);
  if (!cut) return [label("Prompt"), end];
  const more = make("button", "more", `whole prompt (${counted(whole.length)} characters)`);
  more.type = "button";
  more.setAttribute("aria-expanded", "false");
  more.addEventListener("click", () => {
    const open = more.getAttribute("aria-expanded") === "false";
    more.setAttribute("aria-expanded", String(open));
    more.textContent = open ? "its end only" : `whole prompt (${counted(whole.length)} characters)`;
    const fresh = box(open ? whole : `… ${whole.slice(cut)}`, searched);
    fresh.classList.toggle("scroll", open);
    more.previousElementSibling.replaceWith(fresh);
  });
  return [label("Prompt"), end, more];
}

const label = (text) => make("p", "label", text);

function box(text, searched) {
  if (text === null || text === undefined) return make("p", "text empty", "not in the file");
  if (text === "") return make("p", "text empty", "nothing");
  return make("p", "text", ...found(text, searched));
}

function found(text, searched) {
  // The text with the words searched for marked.
  const words = searched.toLowerCase().split(/\s+/).filter(Boolean);
  if (!words.length) return [text];
  const escaped = words.map((word) => word.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  return text.split(new RegExp(`(${escaped.join("|")})`, "gi"))
    .filter((part) => part !== "")
    .map((part) => words.includes(part.toLowerCase()) ? make("mark", "", part) : part);
}

function answers(texts, searched) {
  const known = texts.before !== null;
  const [before, after] = known ? differences(texts.before, texts.after) : [null, [[texts.after, false]]];
  const taken = texts.taken || [null, null];
  return make("div", "answers", answer("Unmodified", before, "del", taken[0], searched),
    answer("Amplified", after, "ins", taken[1], searched));
}

function answer(name, parts, tag, taken, searched) {
  const element = make("div", "", label(name));
  if (parts === null || !parts.length) element.append(box(parts === null ? null : ""));
  else element.append(make("p", "text",
    ...parts.flatMap(([text, differs]) => differs ? [make(tag, "", ...found(text, searched))]
      : found(text, searched))));
  if (taken !== null) element.append(make("p", "label", `taken as: ${taken}`));
  return element;
}

function choices(texts, searched) {
  const shares = [1, 2].map((side) => shared(texts.choices.map((own) => own[side])));
  const best = shares.map((own) => own.indexOf(Math.max(...own)));
  const several = texts.choices.length > 1;
  const head = make("tr", "", ...["", "Unmodified", "Amplified"].map((name) => make("th", name ? "" : "words", name)));
  const rows = texts.choices.map((own, n) => make("tr", n === texts.gold ? "right" : "",
    make("td", "words", n === texts.gold ? "✓ " : "", ...found(own[0], searched)),
    ...[0, 1].map((side) => make("td", "", bar(own[side + 1],
      several ? shares[side][n] : Math.exp(own[side + 1] ?? -Infinity),
      several && own[side + 1] !== null && best[side] === n)))));
  return make("table", "choices", make("thead", "", head), make("tbody", "", ...rows));
}

function shared(values) {
  const largest = Math.max(...values.map((own) => own ?? -Infinity));
  const weights = values.map((own) => own === null || largest === -Infinity ? 0 : Math.exp(own - largest));
  const sum = weights.reduce((a, b) => a + b, 0) || 1;
  return weights.map((own) => own / sum);
}

function bar(value, share, chosen) {
  if (value === null) return make("span", "quiet", "not in the file");
  const fill = make("i", "");
  fill.style.width = `${Math.max(0, Math.min(1, share)) * 45}%`;
  const shown = `${(100 * share).toFixed(share < 0.1 ? 1 : 0)} %`;
  const element = make("div", `bar${chosen ? " chosen" : ""}`, fill, make("span", "", shown),
    make("span", "quiet", number(value)));
  element.title = `log-likelihood ${value}`;
  return element;
}

const nothing = () => make("p", "none", "No item is like that. Esc shows all of them again.");

async function open() {
  if (typeof DecompressionStream === "undefined") {
    byId("status").textContent = "This browser cannot unpack the page; any of 2023 or later can.";
    return;
  }
  window.view = new View(await unpack("index"));
}

open();
