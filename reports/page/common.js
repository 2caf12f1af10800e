// What both parts of the page use: the data, small helpers, the theme.
const data = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);
const metricOf = (name) => data.metrics.find((metric) => metric.name === name);
const colourOf = (model) => data.models.find((item) => item.name === model).colour;

// Infinite scores come as "inf", missing ones as null.
const toNumber = (value) => (value === "inf" ? Infinity : value === "-inf" ? -Infinity : value);

function show(metric, value) {
  const number = toNumber(value);
  if (number === null || number === undefined) return "–";
  return Number.isFinite(number) ? number.toFixed(metric.digits) : number > 0 ? "∞" : "−∞";
}

function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("aria-") || name === "role" || name === "scope" || name === "colspan") made.setAttribute(name, value);
    else if (name === "style") for (const [rule, setting] of Object.entries(value)) made.style.setProperty(rule, setting);
    else made[name] = value;
  }
  made.append(...children);
  return made;
}

function modelName(model) {
  return [element("span", { className: "dot", style: { background: colourOf(model) } }), model];
}

// A row of buttons of which one is pressed. `items` is a list of [value, text].
function choice(group, items, chosen, onChoose) {
  const buttons = items.map(([value, text]) => {
    const button = element("button", { type: "button", "aria-pressed": String(value === chosen) }, text);
    button.addEventListener("click", () => {
      for (const other of buttons) other.setAttribute("aria-pressed", String(other === button));
      onChoose(value);
    });
    return button;
  });
  group.replaceChildren(...buttons);
}

// null and undefined go last, whichever way the rest is sorted.
function compareValues(a, b, descending) {
  const [first, second] = [toNumber(a), toNumber(b)];
  if (first === null || first === undefined) return second === null || second === undefined ? 0 : 1;
  if (second === null || second === undefined) return -1;
  const order = typeof first === "string" ? first.localeCompare(second) : first - second || 0;
  return descending ? -order : order;
}

const theme = byId("theme");
function setTheme(dark) {
  document.documentElement.dataset.theme = dark ? "dark" : "light";
  theme.setAttribute("aria-pressed", String(dark));
  theme.textContent = dark ? "Light" : "Dark";
}
const systemDark = matchMedia("(prefers-color-scheme: dark)");
setTheme(systemDark.matches);
systemDark.addEventListener("change", (event) => setTheme(event.matches));
theme.addEventListener("click", () => setTheme(document.documentElement.dataset.theme !== "dark"));
