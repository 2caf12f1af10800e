"use strict";

const CHOICES = {
  pairs: [["left", "Left", "ArrowLeft"], ["same", "No difference", "ArrowDown"], ["right", "Right", "ArrowRight"]],
  opinion: [["1", "1 bad", "1"], ["2", "2 poor", "2"], ["3", "3 fair", "3"], ["4", "4 good", "4"], ["5", "5 excellent", "5"]],
};
const ASKED = { pairs: "Which image is nearer to the reference?", opinion: "How good is the image beside the reference?" };
const KEYS = { pairs: "Keys: ←, ↓ for no difference, →", opinion: "Keys: 1 to 5" };
const at = (id) => document.getElementById(id);

let rater = null;
let state = null;
let busy = false;

async function ask(path, body) {
  const sent = body === undefined ? {} : {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body),
  };
  const response = await fetch(path, sent);
  if (!response.ok) throw new Error(`${response.status} ${response.statusText}`);
  return response.json();
}

function figure(name, caption) {
  const made = document.createElement("figure");
  const image = made.appendChild(document.createElement("img"));
  image.src = `/images/${name}`;
  image.alt = caption;
  made.appendChild(document.createElement("figcaption")).textContent = caption;
  return made;
}

function button([choice, label]) {
  const made = document.createElement("button");
  made.textContent = label;
  made.dataset.choice = choice;
  made.addEventListener("click", () => answer(choice));
  return made;
}

function show(next) {
  state = next;
  at("progress").max = state.total;
  at("progress").value = state.done;
  at("count").textContent = `${state.done} of ${state.total}`;
  at("question").hidden = !state.question;
  at("message").textContent = state.question ? "" : "That was all. Thank you.";
  if (!state.question) return;
  at("asked").textContent = ASKED[state.mode];
  at("keys").textContent = KEYS[state.mode];
  at("reference").src = `/images/${state.reference}`;
  const captions = state.mode === "pairs" ? ["Left", "Right"] : ["Image"];
  at("pictures").replaceChildren(...state.pictures.map((name, index) => figure(name, captions[index])));
  at("choices").replaceChildren(...CHOICES[state.mode].map(button));
}

async function answer(choice) {
  if (busy || !state || !state.question) return;
  busy = true;
  try {
    show(await ask("/answers", { rater, question: state.question, choice }));
  } catch (error) {
    at("message").textContent = `Not saved (${error.message}). Try again.`;
  }
  busy = false;
}

document.addEventListener("keydown", (event) => {
  if (event.repeat || event.ctrlKey || event.metaKey || event.altKey || !state) return;
  const meant = CHOICES[state.mode].find(([, , key]) => key === event.key);
  if (meant) { event.preventDefault(); answer(meant[0]); }
});

async function start() {
  rater = localStorage.getItem("rater");
  try {
    if (rater) return show(await ask(`/next?rater=${rater}`));
  } catch (error) {
    rater = null; // of another study, or of one that was made anew
  }
  rater = (await ask("/raters", {})).rater;
  localStorage.setItem("rater", rater);
  show(await ask(`/next?rater=${rater}`));
}

start().catch((error) => { at("message").textContent = `The server does not answer (${error.message}).`; });
