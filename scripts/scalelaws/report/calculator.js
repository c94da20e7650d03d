// The calculator: the same arithmetic as scalelaws.laws, on the same resamples, printed as `scalelaws allocate` prints.
(() => {
  "use strict";
  const form = document.getElementById("calculator-form");
  if (!form) return; // no law to reckon with
  const data = JSON.parse(document.getElementById("calculator-data").textContent);
  const LEVEL = [0.025, 0.975];
  const FAR = 1; // decades beyond the data past which an answer carries a warning
  const HALVINGS = 60;
  const REACH = 60; // in ln N, how far from the best size another one of the same loss is looked for
  const LETTERS = { k: 1e3, M: 1e6, B: 1e9, T: 1e12 };

  for (const item of [...data.allocations, ...data.laws]) item.columns = item.columns.map(decoded);

  function decoded(column) {
    if (typeof column === "number") return column;
    const bytes = Uint8Array.from(atob(column), (letter) => letter.charCodeAt(0));
    return new Float64Array(bytes.buffer);
  }

  // The rows of an item's columns: its own values first, then one row a resample.
  function rows(item) {
    const length = Math.max(...item.columns.map((column) => column.length ?? 1));
    return Array.from({ length }, (_, i) => item.columns.map((column) => (typeof column === "number" ? column : column[i])));
  }

  // --- numbers as text ---------------------------------------------------------------------------------------------

  // What Python's format(value, ".{digits}g") gives.
  function general(value, digits) {
    if (value === 0) return "0";
    const [mantissa, exponent] = value.toExponential(digits - 1).split("e");
    const power = Number(exponent);
    if (power < -4 || power >= digits) {
      const sign = power < 0 ? "-" : "+";
      return `${trimmed(mantissa)}e${sign}${String(Math.abs(power)).padStart(2, "0")}`;
    }
    return trimmed(value.toFixed(digits - 1 - power));
  }

  function trimmed(text) {
    return text.includes(".") ? text.replace(/\.?0+$/, "") : text;
  }

  function readable(count) {
    for (const [limit, divisor, letter] of [[1e3, 1, ""], [1e6, 1e3, "k"], [1e9, 1e6, "M"], [1e12, 1e9, "B"], [Infinity, 1e12, "T"]]) {
      if (count >= limit * 0.9995) continue;
      const scaled = count / divisor;
      return (scaled < 999.5 ? general(scaled, 3) : scaled.toFixed(0)) + letter;
    }
    return String(count);
  }

  function printed(value, counted) {
    if (!Number.isFinite(value)) return "–";
    return counted && Math.abs(value) >= 1 && Math.abs(value) < 1e15 ? readable(value) : general(value, 4);
  }

  function withInterval([value, low, high], counted) {
    return `${printed(value, counted)} (${printed(low, counted)} – ${printed(high, counted)})`;
  }

  function quantile(sorted, share) {
    const place = (sorted.length - 1) * share;
    const below = Math.floor(place);
    const next = sorted[Math.min(below + 1, sorted.length - 1)];
    return sorted[below] + (next - sorted[below]) * (place - below);
  }

  // The first value with the 95% interval of the others.
  function estimate(values) {
    const sorted = Float64Array.from(values.slice(1).filter(Number.isFinite)).sort();
    return [values[0], ...LEVEL.map((share) => (sorted.length ? quantile(sorted, share) : NaN))];
  }

  // "1.3B", "2e21", "400,000" as numbers; NaN for anything else or not above zero.
  function quantity(text) {
    const found = text.trim().replaceAll(",", "").match(/^([\d.]+(?:e[+-]?\d+)?)\s*([kMBT]?)$/i);
    const letter = found?.[2] && (LETTERS[found[2]] ?? LETTERS[found[2].toUpperCase()] ?? LETTERS[found[2].toLowerCase()]);
    const value = found ? Number(found[1]) * (letter || 1) : NaN;
    return value > 0 ? value : NaN;
  }

  // --- what the laws say -------------------------------------------------------------------------------------------

  function decadesBeyond(value, [least, most]) {
    return Math.max(Math.log10(value / most), Math.log10(least / value));
  }

  function warnings(item, beyond) {
    const found = item.determined ? [] : ["the data do not determine this law"];
    for (const [what, decades] of beyond) {
      if (decades > FAR) found.push(`${what} lies ${decades.toFixed(1)} decades beyond the data`);
    }
    return found;
  }

  function split(allocation, flops) {
    const logC = Math.log(flops);
    const found = { N: [], D: [], ratio: [], L: [] };
    for (const [logK, a, logL, c, floor] of rows(allocation)) {
      const logN = logK + a * logC;
      const logD = logC - Math.log(6) - logN;
      found.N.push(Math.exp(logN));
      found.D.push(Math.exp(logD));
      found.ratio.push(Math.exp(logD - logN));
      found.L.push(floor + Math.exp(logL + c * logC));
    }
    return found;
  }

  function logSum(...logs) {
    const most = Math.max(...logs);
    return most + Math.log(logs.reduce((sum, log) => sum + Math.exp(log - most), 0));
  }

  // ln of what is left of exp(whole) without exp(parts); NaN where nothing is.
  function logLeft(whole, ...parts) {
    return whole + Math.log1p(-parts.reduce((sum, part) => sum + Math.exp(part - whole), 0));
  }

  // One row of a law, L^(1/g) = e + u/N^p + v/D^q, solved for what is not known; `larger` picks the larger of two sizes.
  function solved(law, known, larger) {
    const [g, logE, logU, p, logV, q] = law;
    const byC = known.C !== undefined ? Math.log(known.C / 6) : undefined;
    let n = known.N !== undefined ? Math.log(known.N) : undefined;
    let d = known.D !== undefined ? Math.log(known.D) : undefined;
    if (byC !== undefined && n !== undefined) d = byC - n;
    if (byC !== undefined && d !== undefined) n = byC - d;
    if (known.L !== undefined) {
      const whole = Math.log(known.L) / g;
      if (n !== undefined) d = (logV - logLeft(whole, logE, logU - p * n)) / q;
      else if (d !== undefined) n = (logU - logLeft(whole, logE, logV - q * d)) / p;
      else {
        n = sizeOfLoss(law, byC, whole, larger);
        d = byC - n;
      }
    }
    const loss = known.L ?? Math.exp(g * logSum(logE, logU - p * n, logV - q * d));
    return { N: known.N ?? Math.exp(n), D: known.D ?? Math.exp(d), C: known.C ?? 6 * Math.exp(n + d), L: loss };
  }

  // ln N at which a budget gives a loss: below the best size, or above it if `larger`; NaN where no size does.
  function sizeOfLoss([, logE, logU, p, logV, q], byC, whole, larger) {
    const best = (Math.log(p) - Math.log(q) + logU - logV + q * byC) / (p + q);
    const above = (n) => logSum(logE, logU - p * n, logV - q * (byC - n)) > whole;
    if (above(best)) return NaN;
    let [inside, outside] = [best, best + (larger ? REACH : -REACH)];
    for (let i = 0; i < HALVINGS; i += 1) {
      const middle = (inside + outside) / 2;
      if (above(middle)) outside = middle;
      else inside = middle;
    }
    return inside;
  }

  // --- the forms ---------------------------------------------------------------------------------------------------

  const field = (name) => form.elements.namedItem(name);

  function budget() {
    if (field("given").value === "flops") return quantity(field("flops").value);
    const share = quantity(field("utilization").value) / 100;
    return quantity(field("hours").value) * 3600 * data.gpus[field("gpu").value] * share;
  }

  function fill(table, lines) {
    const [header, body] = [document.getElementById(table).tHead, document.getElementById(table).tBodies[0]];
    const labels = [...header.rows[0].cells].map((cell) => cell.textContent);
    body.replaceChildren(...lines.map(({ title, cells, notes }) => {
      const row = document.createElement("tr");
      const head = document.createElement("th");
      head.scope = "row";
      head.textContent = title;
      for (const note of notes) {
        const small = document.createElement("span");
        small.className = "note";
        small.textContent = note;
        head.append(small);
      }
      row.append(head, ...cells.map((text, i) => {
        const cell = Object.assign(document.createElement("td"), { textContent: text });
        cell.dataset.label = labels[i + 1]; // a narrow screen shows it in place of the header
        return cell;
      }));
      return row;
    }));
  }

  function showSplit() {
    const flops = budget();
    const said = document.getElementById("budget-said");
    const byHours = field("given").value === "hours";
    for (const group of form.querySelectorAll("[data-given]")) group.hidden = group.dataset.given !== field("given").value;
    if (Number.isNaN(flops)) {
      said.textContent = "Give numbers above zero, such as 1e21, 2.5e18 or 400M.";
      fill("split", []);
      return;
    }
    said.textContent = byHours ? `That is ${general(flops, 4)} FLOPs.` : "";
    fill("split", data.allocations.map((allocation) => {
      const found = split(allocation, flops);
      const beyond = [["the budget", decadesBeyond(flops, allocation.flops)]];
      const cells = ["N", "D", "ratio", "L"].map((key) => withInterval(estimate(found[key]), key === "N" || key === "D"));
      return { title: allocation.title, cells, notes: warnings(allocation, beyond) };
    }));
  }

  function showPair() {
    const names = [field("first").value, field("second").value];
    const values = [quantity(field("first-value").value), quantity(field("second-value").value)];
    const said = document.getElementById("pair-said");
    if (names[0] === names[1] || values.some(Number.isNaN)) {
      said.textContent = names[0] === names[1] ? "Choose two different quantities." : "Give two numbers above zero.";
      fill("pair", []);
      return;
    }
    said.textContent = "";
    const known = { [names[0]]: values[0], [names[1]]: values[1] };
    const sizes = known.C !== undefined && known.L !== undefined ? [false, true] : [false];
    fill("pair", data.laws.flatMap((law) => sizes.map((larger) => pairLine(law, known, larger, sizes.length > 1))));
  }

  function pairLine(law, known, larger, two) {
    const answers = rows(law).map((row) => solved(row, known, larger));
    const cells = ["N", "D", "C", "L"].map((key) => {
      if (known[key] !== undefined) return printed(known[key], key === "N" || key === "D");
      return withInterval(estimate(answers.map((answer) => answer[key])), key === "N" || key === "D");
    });
    const beyond = [["N", decadesBeyond(answers[0].N, law.ranges.N)], ["D", decadesBeyond(answers[0].D, law.ranges.D)]];
    const notes = warnings(law, beyond);
    const never = answers.filter((answer) => !Number.isFinite(answer.N * answer.D)).length / answers.length;
    if (never > 0) notes.push(`by ${(100 * never).toFixed(0)}% of the resamples this cannot be reached`);
    const which = larger ? ", more parameters" : ", fewer parameters";
    return { title: law.title + (two ? which : ""), cells, notes };
  }

  if (data.allocations.length) {
    form.addEventListener("input", showSplit);
    showSplit();
  }
  if (data.laws.length) {
    form.addEventListener("input", showPair);
    showPair();
  }
  form.addEventListener("submit", (event) => event.preventDefault());
})();
