// Draws the charts of the report. Everything shown comes from #data (see series.py); all text is set as text, never as
// markup. The charts share one stretch of time, [view.from, view.to] in ms; each knows how to draw it and what is at a point.
"use strict";
(() => {
  const $ = (id) => document.getElementById(id);
  const LEFT = 74, RIGHT = 10, AXIS = 20;
  const OUTCOMES = { 1: "ok", 2: "fail", 3: "info" };
  const KINDS = ["partition", "kill", "pause", "clock", "stall"];

  const copy = $("copy");
  if (copy) {
    copy.hidden = false;
    copy.addEventListener("click", async () => {
      const range = document.createRange();
      range.selectNodeContents($("command"));
      getSelection().removeAllRanges();
      getSelection().addRange(range);
      try { await navigator.clipboard.writeText($("command").textContent); } catch { document.execCommand("copy"); }
      copy.textContent = "Copied";
      setTimeout(() => { copy.textContent = "Copy"; }, 1500);
    });
  }

  async function unpack(text) {
    const packed = Uint8Array.from(atob(text.trim()), (c) => c.charCodeAt(0));
    const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
    const bytes = await new Response(stream).arrayBuffer();
    const size = new DataView(bytes).getUint32(0, true);
    const meta = JSON.parse(new TextDecoder().decode(new Uint8Array(bytes, 4, size)));
    const types = { uint8: Uint8Array, uint16: Uint16Array, uint32: Uint32Array, int32: Int32Array, float32: Float32Array };
    const columns = {};
    for (const { name, dtype, length, offset } of meta.columns) columns[name] = new types[dtype](bytes, 4 + size + offset, length);
    return { meta, columns };
  }

  function start({ meta, columns }) {
    const count = columns.begin.length, tick = meta.tick_ns / 1e6, first = meta.first_ns / 1e6, span = meta.span_ns / 1e6;
    const begin = new Float64Array(count), end = new Float64Array(count), index = new Int32Array(count);
    for (let i = 0, ticks = 0, at = 0; i < count; i++) {
      ticks = (ticks + columns.begin[i]) >>> 0;
      at += columns.index[i];
      begin[i] = first + ticks * tick;
      end[i] = begin[i] + columns.latency[i] * tick;
      index[i] = at;
    }
    let longest = 0;
    for (let i = 0; i < count; i++) longest = Math.max(longest, end[i] - begin[i]);
    const whole = { from: first, to: first + Math.max(span, 0.001) };
    const view = { ...whole };
    const proves = Object.entries(meta.proves).map(([place, type]) => ({ place: +place, type }));
    let colors = {}, marked = new Set(), pointer = null, drag = null, queued = false;

    const readColors = () => {
      const style = getComputedStyle(document.documentElement);
      for (const name of ["ink", "soft", "quiet", "line", "card", "sunk", "ok", "fail", "info", "guilty", "link", ...[...KINDS, "other"].map((k) => "fault-" + k)])
        colors[name] = style.getPropertyValue("--" + name).trim();
    };
    const faultColor = (kind) => colors["fault-" + (KINDS.includes(kind) ? kind : "other")];
    const seconds = (ms, digits = 3) => (ms / 1000).toFixed(digits) + " s";
    const firstAfter = (ms) => { // first operation that begins at or after ms
      let low = 0, high = count;
      while (low < high) { const middle = (low + high) >> 1; if (begin[middle] < ms) low = middle + 1; else high = middle; }
      return low;
    };

    // What a chart is drawn with: x of a time, the canvas' context, its width and height in CSS pixels.
    function surface(canvas, height) {
      const width = canvas.clientWidth, scale = window.devicePixelRatio || 1;
      if (canvas.width !== Math.round(width * scale) || canvas.height !== Math.round(height * scale)) {
        canvas.width = Math.round(width * scale);
        canvas.height = Math.round(height * scale);
        canvas.style.height = height + "px";
      }
      const g = canvas.getContext("2d");
      g.setTransform(scale, 0, 0, scale, 0, 0);
      g.clearRect(0, 0, width, height);
      g.font = "11.5px system-ui, sans-serif";
      g.textBaseline = "middle";
      const inner = Math.max(width - LEFT - RIGHT, 10);
      return { g, width, height, inner, x: (ms) => LEFT + ((ms - view.from) / (view.to - view.from)) * inner };
    }

    function clip(s, draw) {
      s.g.save();
      s.g.beginPath();
      s.g.rect(LEFT, 0, s.inner, s.height);
      s.g.clip();
      draw();
      s.g.restore();
    }

    function niceStep(range, wanted) {
      const raw = range / Math.max(wanted, 1), power = 10 ** Math.floor(Math.log10(raw));
      return power * [1, 2, 5, 10].find((m) => power * m >= raw);
    }

    function timeAxis(s) {
      const step = niceStep(view.to - view.from, s.inner / 100), digits = Math.max(0, Math.ceil(-Math.log10(step / 1000)));
      s.g.textAlign = "center";
      for (let ms = Math.ceil(view.from / step) * step; ms <= view.to; ms += step) {
        const x = Math.round(s.x(ms)) + 0.5;
        if (x < LEFT - 1 || x > LEFT + s.inner + 1) continue;
        s.g.strokeStyle = colors.line;
        s.g.beginPath(); s.g.moveTo(x, 0); s.g.lineTo(x, s.height - AXIS + 3); s.g.stroke();
        s.g.fillStyle = colors.quiet;
        const text = (ms / 1000).toFixed(digits) + " s", half = s.g.measureText(text).width / 2;
        s.g.fillText(text, Math.min(Math.max(x, LEFT + half - 8), s.width - half), s.height - 8);
      }
    }

    function bands(s, bottom) { // every fault as a tinted stretch behind a chart
      clip(s, () => {
        for (const w of meta.windows) {
          const from = s.x(w.begin_ns / 1e6), to = s.x(w.end_ns / 1e6);
          s.g.globalAlpha = 0.12;
          s.g.fillStyle = faultColor(w.kind);
          s.g.fillRect(from, 0, Math.max(to - from, 1), bottom);
          s.g.globalAlpha = 1;
        }
      });
    }

    function guides(s) { // crosshair and the stretch that is being selected
      if (drag && drag.to !== null) {
        const from = s.x(Math.min(drag.from, drag.to)), to = s.x(Math.max(drag.from, drag.to));
        s.g.globalAlpha = 0.18; s.g.fillStyle = colors.link; s.g.fillRect(from, 0, to - from, s.height - AXIS); s.g.globalAlpha = 1;
      } else if (pointer !== null && pointer >= view.from && pointer <= view.to) {
        const x = Math.round(s.x(pointer)) + 0.5;
        s.g.strokeStyle = colors.quiet; s.g.setLineDash([3, 3]);
        s.g.beginPath(); s.g.moveTo(x, 0); s.g.lineTo(x, s.height - AXIS); s.g.stroke(); s.g.setLineDash([]);
      }
    }

    function label(s, text, y) {
      s.g.fillStyle = colors.quiet; s.g.textAlign = "right";
      s.g.fillText(text, LEFT - 8, y);
    }

    const top = meta.phases.length ? 18 : 0; // room for the names of the run's phases
    const lanes = [...new Set(meta.windows.map((w) => w.lane || w.kind))];
    const faults = {
      canvas: $("chart-faults"), row: 22,
      draw() {
        const s = surface(this.canvas, top + Math.max(lanes.length, 1) * this.row + AXIS + 4);
        timeAxis(s);
        if (top) label(s, "phase", 9);
        for (const [number, { name, at_ns }] of meta.phases.entries()) {
          const x = s.x(at_ns / 1e6);
          if (x < LEFT - 1 || x > LEFT + s.inner) continue;
          s.g.strokeStyle = colors.quiet; s.g.beginPath(); s.g.moveTo(x + 0.5, 0); s.g.lineTo(x + 0.5, s.height - AXIS); s.g.stroke();
          const next = meta.phases[number + 1], room = (next ? s.x(next.at_ns / 1e6) : s.width) - x - 8;
          if (s.g.measureText(name).width > room) continue;
          s.g.fillStyle = colors.soft; s.g.textAlign = "left"; s.g.fillText(name, x + 5, 9);
        }
        if (!lanes.length) { s.g.fillStyle = colors.quiet; s.g.textAlign = "left"; s.g.fillText("No faults were injected.", LEFT + 8, top + this.row / 2); }
        lanes.forEach((lane, row) => label(s, lane, top + row * this.row + this.row / 2));
        clip(s, () => {
          for (const w of meta.windows) {
            const y = top + lanes.indexOf(w.lane || w.kind) * this.row + 3, from = s.x(w.begin_ns / 1e6), to = s.x(w.end_ns / 1e6), wide = Math.max(to - from, 3);
            s.g.fillStyle = s.g.strokeStyle = faultColor(w.kind);
            if (w.effect) { s.g.beginPath(); s.g.roundRect(from, y, wide, this.row - 6, 3); s.g.fill(); }
            else { s.g.beginPath(); s.g.roundRect(from + 0.5, y + 0.5, wide - 1, this.row - 7, 3); s.g.stroke(); }
            const text = w.nodes.join(", ");
            if (text && s.g.measureText(text).width < wide - 10) { s.g.fillStyle = w.effect ? colors.card : colors.ink; s.g.textAlign = "left"; s.g.fillText(text, Math.max(from, LEFT) + 5, y + 8); }
          }
        });
        guides(s);
      },
      at(ms, y) {
        const lane = lanes[Math.floor((y - top) / this.row)];
        const w = meta.windows.find((one) => (one.lane || one.kind) === lane && one.begin_ns / 1e6 <= ms && ms <= one.end_ns / 1e6);
        return w && { title: `${w.kind}${w.nodes.length ? " of " + w.nodes.join(", ") : ""}`, lines: [`${seconds(w.begin_ns / 1e6, 2)} to ${seconds(w.end_ns / 1e6, 2)}`, w.effect ? "took effect" : "no effect seen"] };
      },
    };

    const rate = {
      canvas: $("chart-rate"),
      bins(s) { // counts per drawn bin, at least 4 px wide
        const width = (whole.to - whole.from) / meta.rate_bins, from = Math.max(0, Math.floor((view.from - whole.from) / width)), to = Math.min(meta.rate_bins, Math.ceil((view.to - whole.from) / width));
        const group = Math.max(1, Math.ceil((4 * (to - from)) / s.inner)), list = [];
        for (let bin = from - (from % group); bin < to; bin += group) {
          const sum = { at: whole.from + bin * width, wide: group * width, ok: 0, fail: 0, info: 0 };
          for (let i = bin; i < Math.min(bin + group, meta.rate_bins); i++) for (const name of ["ok", "fail", "info"]) sum[name] += columns["rate_" + name][i];
          list.push(sum);
        }
        return list;
      },
      draw() {
        const s = surface(this.canvas, 130), bottom = s.height - AXIS, list = (this.list = this.bins(s));
        let most = 1;
        for (const bin of list) most = Math.max(most, ((bin.ok + bin.fail + bin.info) / bin.wide) * 1000);
        bands(s, bottom); timeAxis(s);
        const step = niceStep(most, 3);
        for (let mark = 0; mark <= most; mark += step) {
          const y = Math.round(bottom - (mark / most) * (bottom - 6)) + 0.5;
          s.g.strokeStyle = colors.line; s.g.beginPath(); s.g.moveTo(LEFT, y); s.g.lineTo(LEFT + s.inner, y); s.g.stroke();
          label(s, mark.toLocaleString("en"), Math.max(y, 7));
        }
        clip(s, () => {
          for (const bin of list) {
            const x = s.x(bin.at), wide = Math.max(s.x(bin.at + bin.wide) - x - 0.6, 1);
            let y = bottom;
            for (const name of ["ok", "fail", "info"]) {
              const high = ((bin[name] / bin.wide) * 1000 / most) * (bottom - 6);
              s.g.fillStyle = colors[name]; s.g.fillRect(x, y - high, wide, high); y -= high;
            }
          }
        });
        guides(s);
      },
      at(ms) {
        const bin = (this.list || []).find((one) => one.at <= ms && ms < one.at + one.wide);
        if (!bin) return null;
        const per = (name) => Math.round((bin[name] / bin.wide) * 1000).toLocaleString("en");
        return { title: seconds(bin.at, 2), lines: [`${per("ok")} ok, ${per("fail")} fail, ${per("info")} info a second`] };
      },
    };

    const latency = {
      canvas: $("chart-latency"), low: 0.1, high: 10000,
      y(ms, bottom) { return bottom - 4 - ((Math.log10(Math.max(ms, this.low)) - Math.log10(this.low)) / (Math.log10(this.high) - Math.log10(this.low))) * (bottom - 12); },
      draw() {
        const s = surface(this.canvas, 210), bottom = s.height - AXIS;
        bands(s, bottom); timeAxis(s);
        for (let mark = this.low; mark <= this.high * 1.01; mark *= 10) {
          const y = Math.round(this.y(mark, bottom)) + 0.5;
          s.g.strokeStyle = colors.line; s.g.beginPath(); s.g.moveTo(LEFT, y); s.g.lineTo(LEFT + s.inner, y); s.g.stroke();
          label(s, mark >= 1000 ? mark / 1000 + " s" : mark >= 0.99 ? Math.round(mark) + " ms" : mark >= 0.00099 ? Math.round(mark * 1000) + " µs" : mark, y);
        }
        clip(s, () => {
          const from = firstAfter(view.from - longest), to = firstAfter(view.to), size = to - from > 30000 ? 1.6 : to - from > 4000 ? 2.2 : 3.2;
          for (const code of [2, 1, 3]) {
            s.g.fillStyle = colors[OUTCOMES[code]];
            s.g.globalAlpha = code === 1 ? (to - from > 8000 ? 0.3 : 0.55) : 0.85;
            for (let i = from; i < to; i++) if (columns.outcome[i] === code && end[i] >= view.from) s.g.fillRect(s.x(end[i]) - size / 2, this.y(end[i] - begin[i], bottom) - size / 2, code === 1 ? size : size + 0.8, code === 1 ? size : size + 0.8);
          }
          s.g.globalAlpha = 1;
          const width = (whole.to - whole.from) / meta.latency_bins;
          for (const [name, dash] of [["p99", [4, 3]], ["p50", []]]) {
            s.g.strokeStyle = colors.ink; s.g.lineWidth = 1.5; s.g.setLineDash(dash); s.g.beginPath();
            let open = false;
            columns[name].forEach((us, bin) => {
              if (Number.isNaN(us)) { open = false; return; }
              const x = s.x(whole.from + (bin + 0.5) * width), y = this.y(us / 1000, bottom);
              if (open) s.g.lineTo(x, y); else s.g.moveTo(x, y);
              open = true;
            });
            s.g.stroke(); s.g.setLineDash([]); s.g.lineWidth = 1;
          }
          for (const { place } of proves) ring(s, s.x(end[place]), this.y(end[place] - begin[place], bottom), marked.has(place));
        });
        guides(s);
      },
      at(ms, y) {
        const s = { inner: Math.max(this.canvas.clientWidth - LEFT - RIGHT, 10) }, perPixel = (view.to - view.from) / s.inner, bottom = 210 - AXIS, reach = 9;
        let best = -1, nearest = reach * reach;
        for (let i = firstAfter(ms - longest - reach * perPixel), to = firstAfter(ms + reach * perPixel); i < to; i++) {
          const dx = (end[i] - ms) / perPixel;
          if (dx > reach || dx < -reach) continue;
          const dy = this.y(end[i] - begin[i], bottom) - y, distance = (dx * dx + dy * dy) * (columns.guilty[i] ? 0.3 : 1);
          if (distance < nearest) { nearest = distance; best = i; }
        }
        return best < 0 ? null : describe(best);
      },
    };

    const rows = Math.max(meta.lanes, 1), rowHeight = Math.max(5, Math.min(18, Math.floor(420 / rows)));
    const clients = {
      canvas: $("chart-clients"),
      draw() {
        const s = surface(this.canvas, rows * rowHeight + AXIS + 4), bottom = s.height - AXIS;
        bands(s, bottom); timeAxis(s);
        const every = Math.ceil(14 / rowHeight);
        for (let row = 0; row < rows; row += every) label(s, String(row), row * rowHeight + rowHeight / 2);
        clip(s, () => {
          const from = firstAfter(view.from - longest), to = firstAfter(view.to), tall = Math.max(rowHeight - 2, 2);
          for (const code of [2, 1, 3]) {
            const last = new Float64Array(rows).fill(-1);
            s.g.fillStyle = colors[OUTCOMES[code]];
            for (let i = from; i < to; i++) {
              if (columns.outcome[i] !== code || end[i] < view.from) continue;
              const x = s.x(begin[i]), right = Math.max(s.x(end[i]), x + 0.8), row = columns.lane[i];
              if (right - last[row] < 0.7) continue; // nothing new to see on this pixel
              last[row] = right;
              s.g.fillRect(x, row * rowHeight + 1, right - x > 3 ? right - x - 0.7 : right - x, tall);
            }
          }
          for (const { place } of proves) {
            const x = s.x(begin[place]), wide = Math.max(s.x(end[place]) - x, 3), y = columns.lane[place] * rowHeight;
            s.g.fillStyle = s.g.strokeStyle = colors.guilty;
            s.g.fillRect(x, y + 1, wide, tall);
            if (marked.has(place)) { s.g.lineWidth = 2; s.g.strokeStyle = colors.ink; s.g.strokeRect(x - 2, y - 1, wide + 4, tall + 4); s.g.lineWidth = 1; }
          }
        });
        guides(s);
      },
      at(ms, y) {
        const row = Math.floor(y / rowHeight), perPixel = (view.to - view.from) / Math.max(this.canvas.clientWidth - LEFT - RIGHT, 10);
        let best = -1, nearest = 4 * perPixel;
        for (let i = firstAfter(ms - longest - 4 * perPixel), to = firstAfter(ms + 4 * perPixel); i < to; i++) {
          if (columns.lane[i] !== row) continue;
          const away = Math.max(begin[i] - ms, ms - end[i], 0) - (columns.guilty[i] ? 2 * perPixel : 0);
          if (away < nearest) { nearest = away; best = i; }
        }
        return best < 0 ? null : describe(best);
      },
    };

    function ring(s, x, y, strong) {
      s.g.strokeStyle = colors.card; s.g.lineWidth = 4; s.g.beginPath(); s.g.arc(x, y, strong ? 7 : 4.5, 0, 7); s.g.stroke();
      s.g.strokeStyle = colors.guilty; s.g.lineWidth = 2; s.g.beginPath(); s.g.arc(x, y, strong ? 7 : 4.5, 0, 7); s.g.stroke(); s.g.lineWidth = 1;
    }

    function describe(i) {
      const error = columns.error[i] ? meta.errors[columns.error[i] - 1] : "", node = columns.node[i] === 255 ? "" : " on " + meta.nodes[columns.node[i]];
      const took = end[i] - begin[i], text = meta.texts[i];
      return {
        title: `${meta.f[columns.f[i]]}: ${OUTCOMES[columns.outcome[i]]}${meta.proves[i] ? " (part of " + meta.proves[i] + ")" : ""}`,
        code: text || "",
        lines: [`client ${columns.process[i]}${node}, at ${seconds(begin[i])}, took ${took < 10 ? took.toFixed(2) : took.toFixed(0)} ms, index ${index[i]}`, error, text ? "" : "What it did stands in the history at that index."].filter(Boolean),
      };
    }

    const charts = [faults, rate, latency, clients];
    const draw = () => { queued = false; for (const chart of charts) chart.draw(); };
    const redraw = () => { if (!queued) { queued = true; requestAnimationFrame(draw); } };
    const look = (from, to) => {
      const wide = Math.min(Math.max(to - from, 0.05), whole.to - whole.from);
      from = Math.min(Math.max(from, whole.from), whole.to - wide);
      view.from = from; view.to = from + wide;
      redraw();
    };
    const zoom = (factor, at = (view.from + view.to) / 2) => look(at - (at - view.from) * factor, at + (view.to - at) * factor);

    const tip = $("tip");
    function show(found, event) {
      tip.hidden = !found;
      if (!found) return;
      tip.replaceChildren();
      const title = document.createElement("b");
      title.textContent = found.title;
      tip.append(title);
      if (found.code) { const code = document.createElement("code"); code.textContent = found.code; tip.append(code); }
      tip.append(document.createTextNode(found.lines.join("\n")));
      const right = event.pageX + 16 + tip.offsetWidth > scrollX + document.documentElement.clientWidth;
      tip.style.left = Math.max(8, right ? event.pageX - tip.offsetWidth - 12 : event.pageX + 16) + "px";
      tip.style.top = event.pageY + 16 + "px";
    }

    for (const chart of charts) {
      const canvas = chart.canvas;
      const timeAt = (event) => {
        const box = canvas.getBoundingClientRect();
        return view.from + ((event.clientX - box.left - LEFT) / Math.max(canvas.clientWidth - LEFT - RIGHT, 10)) * (view.to - view.from);
      };
      canvas.addEventListener("pointermove", (event) => {
        pointer = timeAt(event);
        if (drag) drag.to = pointer;
        show(drag && drag.to !== null && Math.abs(event.clientX - drag.x) > 4 ? null : chart.at(pointer, event.clientY - canvas.getBoundingClientRect().top), event);
        redraw();
      });
      canvas.addEventListener("pointerdown", (event) => { if (event.button === 0) { drag = { from: timeAt(event), to: null, x: event.clientX }; canvas.setPointerCapture(event.pointerId); } });
      canvas.addEventListener("pointerup", (event) => {
        if (drag && drag.to !== null && Math.abs(event.clientX - drag.x) > 6) look(Math.min(drag.from, drag.to), Math.max(drag.from, drag.to));
        drag = null; redraw();
      });
      for (const away of ["pointerleave", "pointercancel"]) canvas.addEventListener(away, () => { pointer = drag = null; tip.hidden = true; redraw(); });
      canvas.addEventListener("dblclick", () => look(whole.from, whole.to));
      canvas.addEventListener("wheel", (event) => { if (event.ctrlKey || event.metaKey) { event.preventDefault(); zoom(event.deltaY > 0 ? 1.25 : 0.8, timeAt(event)); } }, { passive: false });
    }
    $("zoom-in").addEventListener("click", () => zoom(0.5));
    $("zoom-out").addEventListener("click", () => zoom(2));
    $("zoom-all").addEventListener("click", () => look(whole.from, whole.to));
    for (const [id, step] of [["pan-left", -0.4], ["pan-right", 0.4]]) $(id).addEventListener("click", () => look(view.from + step * (view.to - view.from), view.to + step * (view.to - view.from)));

    const byIndex = new Map(proves.map(({ place }) => [index[place], place]));
    for (const button of document.querySelectorAll("button.show")) {
      const places = button.dataset.ops.split(",").map((text) => byIndex.get(+text)).filter((place) => place !== undefined);
      if (!places.length) continue;
      button.hidden = false;
      button.addEventListener("click", () => {
        marked = new Set(places);
        const from = Math.min(...places.map((place) => begin[place])), to = Math.max(...places.map((place) => end[place])), margin = Math.max((to - from) * 0.6, 20);
        look(from - margin, to + margin);
        $("timeline").scrollIntoView();
      });
    }

    const legend = $("legend");
    const entry = (name, text) => {
      const item = document.createElement("span"), swatch = document.createElement("i");
      swatch.className = "swatch " + name;
      item.append(swatch, text);
      legend.append(item);
    };
    for (const code of [1, 2, 3]) entry(OUTCOMES[code], OUTCOMES[code]);
    if (proves.length) entry("guilty", "part of an anomaly");
    for (const kind of new Set(meta.windows.map((w) => w.kind))) entry("fault-" + (KINDS.includes(kind) ? kind : "other"), kind);

    let least = Infinity, most = 1;
    for (let i = 0; i < count; i++) { const took = end[i] - begin[i]; if (took > 0 && took < least) least = took; if (took > most) most = took; }
    latency.low = Math.max(0.01, Math.min(1, 10 ** Math.floor(Math.log10(Math.min(least, 1)))));
    latency.high = 10 ** Math.ceil(Math.log10(most));
    if (latency.high <= latency.low) latency.high = latency.low * 10;

    $("charts").hidden = false;
    readColors(); draw();
    addEventListener("resize", redraw);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { readColors(); redraw(); });
    document.documentElement.dataset.charts = "drawn";
  }

  const data = $("data");
  if (data) {
    unpack(data.textContent).then(start).catch((error) => {
      const note = $("charts-failed");
      note.hidden = false;
      note.textContent = typeof DecompressionStream === "undefined" ? "The charts need a newer browser (Chrome 80, Firefox 113 or Safari 16.4 and later). Everything else on this page works." : "The charts could not be drawn: " + error.message;
      document.documentElement.dataset.charts = "failed";
      if (typeof DecompressionStream !== "undefined") console.error(error);
    });
  }
})();
