// The image viewer: two layers A and B of one picture, under one transform, so that zoom and position are always linked.
const HR = "HR";
const ZOOM_STEP = 1.25;
const LARGEST_ZOOM = 32;
const TILE_ZOOM = 2;
const quality = data.metrics.find((metric) => metric.higher_is_better);

const view = { picture: null, a: HR, b: HR, mode: "slider", split: 50, zoom: 1, x: 0, y: 0, order: "disagreement", filter: "" };

function startViewer() {
  const stage = byId("stage");
  const panes = { a: byId("pane-a"), b: byId("pane-b") };
  const keyOf = (picture) => `${picture.dataset}/x${picture.scale}/${picture.image}`;
  const scoresOf = (picture) => data.images[keyOf(picture)] || {};
  const layersOf = (picture) => [HR, ...data.models.map((model) => model.name).filter((name) => name in picture.sr)];
  const scoreOf = (picture, model, metric) => (scoresOf(picture)[model] || [])[data.metrics.indexOf(metric)] ?? null;

  // --- what is shown -------------------------------------------------------------------------------------------

  function open(picture) {
    view.picture = picture;
    const layers = layersOf(picture);
    if (!layers.includes(view.a)) view.a = layers[1] || HR;
    if (!layers.includes(view.b)) view.b = HR;
    drawLayers();
    drawScores();
    drawTiles();
    toCrop();
    for (const button of byId("strip").children) {
      const chosen = button.dataset.key === keyOf(picture);
      mark(button, chosen);
      if (chosen) byId("strip").scrollLeft = button.offsetLeft - byId("strip").clientWidth / 2 + button.clientWidth / 2;
    }
  }

  function drawLayers() {
    const picture = view.picture;
    for (const side of ["a", "b"]) {
      const layer = view[side];
      const source = layer === HR ? picture.hr : picture.sr[layer];
      setImage(panes[side].querySelector(".sr"), source, `${picture.image}, ${layer}`);
      setImage(panes[side].querySelector(".hr"), picture.hr, "");
      const value = layer === HR || !quality ? "" : ` ${show(quality, scoreOf(picture, layer, quality))}`;
      panes[side].querySelector(".tag").textContent = layer + value;
      const options = layersOf(picture).map((name) => element("option", { value: name, selected: name === layer }, name));
      byId(`model-${side}`).replaceChildren(...options);
    }
    place();
  }

  function setImage(image, source, text) {
    const path = source.split("/").map(encodeURIComponent).join("/");
    if (image.getAttribute("src") !== path) image.src = path;
    image.alt = text;
    image.width = view.picture.width;
    image.height = view.picture.height;
  }

  function drawScores() {
    const picture = view.picture;
    byId("picture-title").textContent = `${picture.image} · ${picture.dataset} ×${picture.scale}`;
    const first = quality || data.metrics[0];
    const value = (model) => scoreOf(picture, model, first);
    const models = data.models.map((model) => model.name).filter((name) => name in scoresOf(picture));
    models.sort((a, b) => compareValues(value(a), value(b), first.higher_is_better !== false));
    const headings = data.metrics.map((metric) => element("th", { scope: "col" }, metric.label));
    byId("picture-scores").replaceChildren(
      element("thead", {}, element("tr", {}, element("th", { className: "name", scope: "col" }, "Model"), ...headings)),
      element("tbody", {}, ...models.map((model) => scoreRow(picture, model))),
    );
  }

  // The middle of the view in every model and HR, small: all at a glance.
  function drawTiles() {
    const tiles = layersOf(view.picture).map((layer) => {
      const image = element("img", { alt: "", draggable: false });
      setImage(image, layer === HR ? view.picture.hr : view.picture.sr[layer], "");
      const button = element("button", { type: "button", title: `See ${layer} as B` }, element("span", { className: "tile" }, image), layer);
      button.addEventListener("click", (event) => choose(event.shiftKey ? "a" : "b", layer));
      return button;
    });
    byId("tiles").replaceChildren(...tiles);
    placeTiles();
  }

  function placeTiles() {
    for (const tile of byId("tiles").querySelectorAll(".tile")) {
      const half = tile.clientWidth / 2;
      tile.firstChild.style.transform = `translate(${half - view.x * TILE_ZOOM}px, ${half - view.y * TILE_ZOOM}px) scale(${TILE_ZOOM})`;
    }
  }

  function scoreRow(picture, model) {
    const badge = model === view.a ? "A" : model === view.b ? "B" : "";
    const button = element("button", { type: "button", disabled: !(model in picture.sr) }, ...modelName(model));
    if (badge) button.append(element("span", { className: "badge" }, badge));
    const cells = data.metrics.map((metric) => element("td", {}, show(metric, scoreOf(picture, model, metric))));
    const row = element("tr", {}, element("th", { scope: "row" }, button), ...cells);
    row.addEventListener("click", (event) => {
      if (model in picture.sr) choose(event.shiftKey ? "a" : "b", model);
    });
    return row;
  }

  function choose(side, layer) {
    view[side] = layer;
    drawLayers();
    drawScores();
  }

  // --- where it is shown ---------------------------------------------------------------------------------------

  const paneSize = () => [panes.a.clientWidth || 1, panes.a.clientHeight || 1];
  const fitZoom = () => Math.min(paneSize()[0] / view.picture.width, paneSize()[1] / view.picture.height);

  // The nearest middle of a window of `size` that does not leave the picture; what is smaller stands in the middle.
  function within(middle, size, whole) {
    return size >= whole ? whole / 2 : Math.min(whole - size / 2, Math.max(size / 2, middle));
  }

  // Puts the picture's point (x, y) in the middle of each pane.
  function place() {
    if (!view.picture) return;
    view.zoom = Math.min(LARGEST_ZOOM, Math.max(fitZoom() / 2, view.zoom));
    const [width, height] = paneSize();
    view.x = within(view.x, width / view.zoom, view.picture.width);
    view.y = within(view.y, height / view.zoom, view.picture.height);
    const transform = `translate(${width / 2 - view.x * view.zoom}px, ${height / 2 - view.y * view.zoom}px) scale(${view.zoom})`;
    for (const image of stage.querySelectorAll("img")) image.style.transform = transform;
    stage.classList.toggle("crisp", view.zoom >= 1.5);
    byId("zoom-level").textContent = `${Math.round(100 * view.zoom)} %`;
    placeTiles();
  }

  // Zooms by a factor and keeps the point under (left, top) of the pane where it is.
  function zoomBy(factor, left = paneSize()[0] / 2, top = paneSize()[1] / 2) {
    const before = view.zoom;
    view.zoom = Math.min(LARGEST_ZOOM, Math.max(fitZoom() / 2, before * factor));
    const shift = 1 / before - 1 / view.zoom;
    view.x += (left - paneSize()[0] / 2) * shift;
    view.y += (top - paneSize()[1] / 2) * shift;
    place();
  }

  function toCrop() {
    [view.x, view.y] = view.picture.crop;
    view.zoom = Math.max(fitZoom(), Math.min(6, paneSize()[1] / 150));
    place();
  }

  function toFit() {
    [view.x, view.y] = [view.picture.width / 2, view.picture.height / 2];
    view.zoom = fitZoom();
    place();
  }

  function setSplit(percent) {
    view.split = Math.min(100, Math.max(0, percent));
    stage.style.setProperty("--split", `${view.split}%`);
    byId("split").value = view.split;
  }

  function setMode(mode) {
    const [width] = paneSize();
    view.mode = mode;
    for (const name of ["slider", "side", "error"]) stage.classList.toggle(name, name === mode);
    for (const button of byId("mode").children) button.setAttribute("aria-pressed", String(button.dataset.mode === mode));
    byId("split").style.visibility = mode === "slider" ? "visible" : "hidden";
    byId("gain-label").hidden = mode !== "error";
    if (view.picture && paneSize()[0] !== width) place();
  }

  function setGain(gain) {
    stage.style.setProperty("--gain", gain);
  }

  // --- which pictures there are --------------------------------------------------------------------------------

  const ORDERS = {
    disagreement: (a, b) => b.disagreement - a.disagreement,
    hardest: (a, b) => compareValues(best(a), best(b), false),
    name: (a, b) => 0,
  };

  function best(picture) {
    const values = Object.keys(scoresOf(picture)).map((model) => toNumber(scoreOf(picture, model, quality || data.metrics[0])));
    return Math.max(...values.filter((value) => value !== null));
  }

  function shownPictures() {
    const wanted = data.pictures.filter(
      (picture) =>
        picture.scale === board.scale &&
        (!board.dataset || picture.dataset === board.dataset) &&
        keyOf(picture).toLowerCase().includes(view.filter),
    );
    return wanted.sort(ORDERS[view.order]);
  }

  function drawStrip() {
    const pictures = shownPictures();
    byId("strip").replaceChildren(...pictures.map(thumbnail));
    byId("picture-count").textContent = `${pictures.length} of ${data.pictures.length} images`;
    return pictures;
  }

  function thumbnail(picture) {
    const image = element("img", { loading: "lazy", alt: "", width: 112, height: 84 });
    image.src = picture.thumbnail.split("/").map(encodeURIComponent).join("/");
    const button = element("button", { type: "button", role: "option", title: `${picture.image}, ${picture.dataset}` }, image, picture.image);
    button.dataset.key = keyOf(picture);
    mark(button, picture === view.picture);
    button.addEventListener("click", () => open(picture));
    return button;
  }

  // The strip is one stop for the Tab key: arrows move inside it.
  function mark(button, chosen) {
    button.setAttribute("aria-selected", String(chosen));
    button.tabIndex = chosen ? 0 : -1;
  }

  function step(by) {
    const pictures = shownPictures();
    const place = pictures.indexOf(view.picture);
    if (pictures.length) open(pictures[(place + by + pictures.length) % pictures.length]);
  }

  function refreshStrip() {
    const pictures = drawStrip();
    if (pictures.length && !pictures.includes(view.picture)) open(pictures[0]);
  }

  // --- mouse, touch and keys -----------------------------------------------------------------------------------

  const pointers = new Map();
  let onDivider = false;

  function paneLeft(event) {
    const left = event.clientX - stage.getBoundingClientRect().left;
    return view.mode === "slider" ? left : left % paneSize()[0];
  }
  const paneTop = (event) => event.clientY - stage.getBoundingClientRect().top;

  stage.addEventListener("pointerdown", (event) => {
    stage.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, event);
    onDivider = event.target === byId("divider");
    stage.classList.toggle("moving", !onDivider);
  });
  stage.addEventListener("pointermove", (event) => {
    const before = pointers.get(event.pointerId);
    if (!before) return;
    if (onDivider) setSplit((100 * (event.clientX - stage.getBoundingClientRect().left)) / stage.clientWidth);
    else if (pointers.size === 2) pinch(event);
    else move(before.clientX - event.clientX, before.clientY - event.clientY);
    pointers.set(event.pointerId, event);
  });
  for (const end of ["pointerup", "pointercancel"]) {
    stage.addEventListener(end, (event) => {
      pointers.delete(event.pointerId);
      stage.classList.remove("moving");
    });
  }

  function pinch(event) {
    const [one, other] = [...pointers.values()];
    const fixed = one.pointerId === event.pointerId ? other : one;
    const before = pointers.get(event.pointerId);
    const distance = (point) => Math.hypot(point.clientX - fixed.clientX, point.clientY - fixed.clientY) || 1;
    zoomBy(distance(event) / distance(before), paneLeft(fixed), paneTop(fixed));
  }

  function move(x, y) {
    view.x += x / view.zoom;
    view.y += y / view.zoom;
    place();
  }

  stage.addEventListener("wheel", (event) => {
    if (document.activeElement !== stage && !event.ctrlKey) return; // the page scrolls until the viewer is clicked
    event.preventDefault();
    zoomBy(event.deltaY < 0 ? ZOOM_STEP : 1 / ZOOM_STEP, paneLeft(event), paneTop(event));
  }, { passive: false });

  const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  const KEYS = {
    "+": () => zoomBy(ZOOM_STEP), "=": () => zoomBy(ZOOM_STEP), "-": () => zoomBy(1 / ZOOM_STEP), 0: toFit, c: toCrop,
    "[": () => step(-1), "]": () => step(1), s: () => setMode("slider"), d: () => setMode("side"), e: () => setMode("error"),
    x: () => byId("swap").click(),
  };

  stage.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const arrow = ARROWS[event.key];
    const divides = arrow && arrow[0] && view.mode === "slider" && !event.shiftKey;
    if (divides) setSplit(view.split + 2 * arrow[0]);
    else if (arrow) move(40 * arrow[0], 40 * arrow[1]);
    else if (event.key in KEYS) KEYS[event.key]();
    else return;
    event.preventDefault();
  });

  byId("strip").addEventListener("keydown", (event) => {
    const arrow = ARROWS[event.key];
    if (!arrow) return;
    event.preventDefault();
    step(arrow[0] + arrow[1]);
    byId("strip").querySelector("[aria-selected=true]").focus({ preventScroll: true });
  });

  for (const side of ["a", "b"]) byId(`model-${side}`).addEventListener("change", (event) => choose(side, event.target.value));
  byId("swap").addEventListener("click", () => {
    [view.a, view.b] = [view.b, view.a];
    choose("a", view.a);
  });
  for (const button of byId("mode").children) button.addEventListener("click", () => setMode(button.dataset.mode));
  const zooms = { in: () => zoomBy(ZOOM_STEP), out: () => zoomBy(1 / ZOOM_STEP), fit: toFit, crop: toCrop };
  for (const button of byId("zoom").querySelectorAll("button")) button.addEventListener("click", zooms[button.dataset.zoom]);
  byId("split").addEventListener("input", (event) => setSplit(Number(event.target.value)));
  byId("gain").addEventListener("input", (event) => setGain(event.target.value));
  byId("order").addEventListener("change", (event) => { view.order = event.target.value; refreshStrip(); });
  byId("picture-filter").addEventListener("input", (event) => { view.filter = event.target.value.toLowerCase(); refreshStrip(); });
  for (const group of ["scale-filter", "dataset-filter"]) byId(group).addEventListener("click", refreshStrip);
  new ResizeObserver(place).observe(stage);

  // --- the first view: the best model of the first picture over the simplest ---------------------------------------

  setMode("slider");
  setSplit(50);
  setGain(byId("gain").value);
  const first = drawStrip()[0];
  if (first) {
    const ranked = layersOf(first).slice(1).sort((a, b) => compareValues(scoreOf(first, a, quality), scoreOf(first, b, quality), true));
    view.b = ranked[0] || HR;
    view.a = ranked.includes("bicubic") && ranked[0] !== "bicubic" ? "bicubic" : ranked[ranked.length - 1] || HR;
    open(first);
  }
}

if (data.pictures.length) startViewer();
