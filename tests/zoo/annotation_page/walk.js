"use strict";
// A person's walk on the page of samzoo annotate, by pointer and keys; its end is in the title.
(async () => {
  const app = window.samzoo, canvas = document.getElementById("canvas"), seen = {};
  const until = async (what, test) => {
    for (let i = 0; i < 2000; i++) {
      if (test()) return;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    throw new Error(`waited for ${what}: ${document.getElementById("error").textContent}`);
  };
  const idle = (what, test) => until(what, () => app.busy === 0 && test());
  const place = ([x, y]) => {
    const r = canvas.getBoundingClientRect();
    return {clientX: r.left + app.x + x * app.zoom, clientY: r.top + app.y + y * app.zoom};
  };
  const pointer = (type, at, more = {}) => canvas.dispatchEvent(
    new PointerEvent(type, {...place(at), pointerId: 1, bubbles: true, button: 0, ...more}));
  const click = (at, more) => { pointer("pointerdown", at, more); pointer("pointerup", at, more); };
  const drag = (from, to) => {
    pointer("pointerdown", from);
    for (let t = 0.1; t < 1.05; t += 0.1) {
      pointer("pointermove", [from[0] + t * (to[0] - from[0]), from[1] + t * (to[1] - from[1])]);
    }
    pointer("pointerup", to);
  };
  const key = (name) => document.dispatchEvent(
    new KeyboardEvent("keydown", {key: name, bubbles: true}));
  const press = (id) => document.getElementById(id).click();
  const at = ([x, y]) => app.labels[y * app.state.size[1] + x];
  const PLAN = window.walkPlan;
  try {
    await until("the embedding", () => app.state && app.state.ready && !app.state.progress);
    await until("the buttons", () => !document.getElementById("automatic").disabled);
    key("g");
    await idle("automatic labels", () => app.proposal);
    const slider = document.getElementById("slider-min_size");
    slider.value = 7;
    slider.dispatchEvent(new Event("input"));
    await idle("the slider", () => app.thresholds.min_size === 7);
    press("take-all");
    await idle("taking all", () => !app.proposal && app.known.size > 0);
    seen.automatic = app.known.size;
    key("s");
    click(PLAN.remove);
    seen.selected = app.selected.size;
    key("d");
    await idle("deleting", () => at(PLAN.remove) === 0);
    key("p");
    click(PLAN.remove);
    await idle("a mask", () => app.mask);
    click(PLAN.beside, {shiftKey: true});
    await idle("two points", () => app.points.length === 2 && app.mask);
    seen.points = app.points.map(({label}) => label);
    key("a");
    await idle("accepting", () => at(PLAN.remove) > 0 && app.points.length === 0);
    key("s");
    click(PLAN.replace);
    const replaced = [...app.selected][0];
    key("p");
    drag(PLAN.box[0], PLAN.box[1]);
    await idle("a mask of the box", () => app.box && app.mask);
    key("r");
    await idle("replacing", () => !app.mask && !app.box);
    seen.kept = at(PLAN.replace) === replaced;
    key("Escape");
    await idle("forgetting", () => app.selected.size === 0);
    const before = app.known.size;
    key("c");
    drag(PLAN.cut[0], PLAN.cut[1]);
    await idle("cutting", () => app.known.size === before + 1);
    key("z");
    await idle("undoing", () => app.known.size === before);
    key("y");
    await idle("doing again", () => app.known.size === before + 1);
    seen.objects = app.known.size;
    key("p");
    if (PLAN.last) { click(PLAN.last); await idle("the last mask", () => app.mask); }
    seen.error = document.getElementById("error").textContent;
  } catch (error) {
    seen.failed = String(error);
  }
  document.title = JSON.stringify(seen);
})();
