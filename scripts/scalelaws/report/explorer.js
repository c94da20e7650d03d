// The interactive figure: draws one chart of one view with Bokeh, and draws it anew whenever a control changes.
(() => {
  "use strict";
  const views = JSON.parse(document.getElementById("explorer-data").textContent);
  const form = document.getElementById("explorer-form");
  const place = document.getElementById("explorer-chart");
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const hidden = new Set();
  let drawing = Promise.resolve(null);
  const field = (name) => form.elements.namedItem(name);

  function chart() {
    return views[Number(field("view").value)].charts[Number(field("axis").value)];
  }

  function options(select, names) {
    select.replaceChildren(...names.map((name, i) => new Option(name, String(i))));
    select.closest("label").hidden = names.length < 2;
  }

  function choose() {
    const view = views[Number(field("view").value)];
    options(field("axis"), view.charts.map((each) => each.axis));
    chooseAxis();
  }

  function chooseAxis() {
    const shown = chart();
    options(field("law"), [...shown.laws.map((law) => law.title), "No law"]);
    hidden.clear();
    field("x-scale").value = shown.linear ? "linear" : "log";
    field("y-scale").value = shown.linear ? "linear" : "log";
    toggles(shown);
    draw();
  }

  // A box to tick for every group: size, approach or corpus.
  function toggles(shown) {
    const box = document.getElementById("explorer-groups");
    const boxes = shown.groups.map((group) => {
      const label = document.createElement("label");
      const input = Object.assign(document.createElement("input"), { type: "checkbox", checked: true });
      input.dataset.group = group.name;
      const swatch = document.createElement("span");
      swatch.className = "swatch";
      swatch.style.background = dark.matches ? group.dark : group.colour;
      label.append(input, swatch, group.name);
      return label;
    });
    box.replaceChildren(...boxes);
  }

  function style() {
    const of = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
    return { text: of("--text"), soft: of("--soft"), line: of("--line"), page: of("--page") };
  }

  function dressed(plot, look) {
    const axes = [...plot.below, ...plot.left];
    for (const axis of axes) {
      axis.axis_label_text_color = look.text;
      axis.axis_label_text_font_style = "normal";
      axis.axis_label_text_font_size = "14px";
      axis.major_label_text_color = look.text;
      axis.major_label_text_font_size = "12px";
      for (const part of ["axis", "major_tick", "minor_tick"]) axis[`${part}_line_color`] = look.soft;
    }
    for (const grid of plot.center) grid.grid_line_color = look.line;
    plot.outline_line_color = null;
  }

  function segment(curve, keep) {
    const chosen = curve.x.map((_, i) => i).filter((i) => keep(curve.x[i], i));
    return { x: chosen.map((i) => curve.x[i]), y: chosen.map((i) => curve.y[i]) };
  }

  function drawLaw(plot, law, colourOf) {
    for (const curve of law.curves) {
      if (hidden.has(curve.group)) continue;
      const colour = colourOf(curve.group);
      if (curve.low) {
        const source = new Bokeh.ColumnDataSource({ data: { x: curve.x, low: curve.low, high: curve.high } });
        plot.varea({ field: "x" }, { field: "low" }, { field: "high" }, { source, color: colour, alpha: 0.15 });
      }
      const [from, to] = curve.solid ?? [curve.x[0], curve.x.at(-1)];
      const parts = [
        [(x) => x >= from && x <= to, "solid"],
        [(x, i) => x <= from || curve.x[i - 1] < from, "dashed"],
        [(x, i) => x >= to || curve.x[i + 1] > to, "dashed"],
      ];
      for (const [keep, dash] of curve.solid ? parts : parts.slice(0, 1)) {
        const { x, y } = segment(curve, keep);
        if (x.length > 1) plot.line(x, y, { color: colour, line_width: 2, line_dash: dash });
      }
    }
  }

  function draw() {
    const shown = chart();
    const look = style();
    const groups = new Map(shown.groups.map((group) => [group.name, dark.matches ? group.dark : group.colour]));
    const colourOf = (name) => groups.get(name) ?? look.text;
    const plot = Bokeh.Plotting.figure({
      x_axis_type: field("x-scale").value,
      y_axis_type: field("y-scale").value,
      x_axis_label: shown.x ?? shown.axis,
      y_axis_label: shown.y,
      sizing_mode: "stretch_width",
      height: 440,
      tools: [],
      toolbar_location: null,
      background_fill_color: look.page,
      border_fill_color: look.page,
    });
    dressed(plot, look);
    for (const line of shown.lines) {
      if (!hidden.has(line.group)) plot.line(line.x, line.y, { color: colourOf(line.group), line_width: 1.2, alpha: 0.75 });
    }
    const law = shown.laws[Number(field("law").value)];
    if (law) drawLaw(plot, law, colourOf);
    const kept = shown.points.group.map((_, i) => i).filter((i) => !hidden.has(shown.points.group[i]));
    const source = new Bokeh.ColumnDataSource({
      data: {
        x: kept.map((i) => shown.points.x[i]),
        y: kept.map((i) => shown.points.y[i]),
        words: kept.map((i) => shown.points.words[i]),
        colour: kept.map((i) => colourOf(shown.points.group[i])),
      },
    });
    const size = shown.lines.length ? 4 : 9;
    const marker = { source, size, color: { field: "colour" }, line_color: look.page, line_width: shown.lines.length ? 0 : 0.6 };
    const marks = plot.scatter({ field: "x" }, { field: "y" }, marker);
    plot.add_tools(new Bokeh.HoverTool({ renderers: [marks], tooltips: "@words", mode: "mouse" }));
    place.setAttribute("aria-label", described(shown, kept.length, law));
    replace(plot);
  }

  // One plot after the other: the last one asked for is the one that stays.
  function replace(plot) {
    place.setAttribute("aria-busy", "true");
    drawing = drawing.then(async (old) => {
      old?.remove();
      place.replaceChildren();
      const view = await Bokeh.Plotting.show(plot, place);
      place.setAttribute("aria-busy", "false");
      return view;
    });
  }

  function described(shown, count, law) {
    const laws = law ? `, with ${law.title}` : "";
    return `${shown.y} against ${shown.x ?? shown.axis}: ${count} points of ${shown.groups.length - hidden.size} groups${laws}`;
  }

  form.addEventListener("change", ({ target }) => {
    if (target.name === "view") choose();
    else if (target.name === "axis") chooseAxis();
    else {
      if (target.dataset.group) hidden[target.checked ? "delete" : "add"](target.dataset.group);
      draw();
    }
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  dark.addEventListener("change", () => {
    toggles(chart());
    for (const input of document.querySelectorAll("#explorer-groups input")) input.checked = !hidden.has(input.dataset.group);
    draw();
  });
  options(field("view"), views.map((view) => view.title));
  choose();
})();
