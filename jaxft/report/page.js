// What the page does beyond standing there: figures that one may zoom, and the map of structures.
// Scripts and data lie packed in the page (gzip in base64) and are unpacked when somebody asks for them; nothing is fetched.
(() => {
  if (typeof DecompressionStream === "undefined") return; // an old browser keeps the figures as they are

  const unpack = async (name) => {
    const bytes = Uint8Array.from(atob(document.getElementById(`packed-${name}`).textContent), (c) => c.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Response(stream).text();
  };

  const loading = {};
  const load = (name) => {
    loading[name] ??= unpack(name).then((text) => {
      const script = document.createElement("script");
      script.textContent = text;
      document.head.append(script);
    });
    return loading[name];
  };

  // where nothing is known, Python writes NaN, which JSON has no word for
  const parse = (text, json) =>
    json.parse(text.replace(/\bNaN\b/g, '"***NaN***"'), (_, value) => (value === "***NaN***" ? NaN : value));

  const busy = async (button, words, work) => {
    const before = button.textContent;
    button.disabled = true;
    button.textContent = words;
    try {
      await work();
    } catch (error) {
      console.error(error);
      button.textContent = `This browser can't show it (${error.message})`;
      return false;
    }
    button.disabled = false;
    button.textContent = before;
    return true;
  };

  for (const button of document.querySelectorAll("button[data-plot]")) {
    const picture = button.parentElement.querySelector(".scroll");
    const plot = button.parentElement.querySelector(".plot");
    const labels = [button.textContent, "Back to the picture"];
    button.hidden = false;
    button.addEventListener("click", async () => {
      if (!plot.dataset.drawn) {
        const drawn = await busy(button, "One moment …", async () => {
          await load("plotly");
          const { data, layout } = JSON.parse(await unpack(`plot-${button.dataset.plot}`));
          plot.hidden = false;
          await Plotly.newPlot(plot, data, layout, { responsive: true, displaylogo: false });
          plot.dataset.drawn = "yes";
        });
        if (!drawn) return;
        plot.hidden = true;
      }
      plot.hidden = !plot.hidden;
      picture.hidden = !plot.hidden;
      button.textContent = labels[plot.hidden ? 0 : 1];
    });
  }

  // chemiscope carries a plotly and style sheets of its own, so it gets a document of its own
  const frameText = `<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1"><style>
    body { margin: 0; } .panes { display: flex; flex-wrap: wrap; gap: 10px; }
    #shown-map, .pane { flex: 1 1 300px; min-width: 0; height: 500px; position: relative; }
    .pane { display: flex; flex-direction: column; } #shown-structure { flex: 1; min-height: 0; position: relative; }
    @media (max-width: 620px) { #shown-map, .pane { flex-basis: 100%; height: 390px; } }
    </style></head><body><div id="shown-meta"></div><div class="panes"><div id="shown-map"></div>
    <div class="pane"><div id="shown-structure"></div><div id="shown-info"></div></div></div></body></html>`;

  const openMap = async (place, name) => {
    const frame = document.createElement("iframe");
    frame.title = "Map of structures";
    const ready = new Promise((resolve) => frame.addEventListener("load", resolve, { once: true }));
    frame.srcdoc = frameText;
    place.hidden = false;
    place.replaceChildren(frame);
    await ready;
    const { contentDocument: inside, contentWindow: scope } = frame;
    const script = inside.createElement("script");
    script.textContent = await unpack("chemiscope");
    inside.head.append(script);
    const dataset = parse(await unpack(`map-${name}`), scope.JSON);
    const config = { meta: "shown-meta", map: "shown-map", structure: "shown-structure", info: "shown-info" };
    await scope.Chemiscope.DefaultVisualizer.load(config, dataset);
    place.dataset.drawn = name;
  };

  for (const button of document.querySelectorAll("button[data-map]")) {
    button.hidden = false;
    button.addEventListener("click", () => {
      const place = button.parentElement.querySelector(".chemiscope");
      delete place.dataset.drawn;
      return busy(button, "One moment …", () => openMap(place, button.dataset.map));
    });
  }
})();
