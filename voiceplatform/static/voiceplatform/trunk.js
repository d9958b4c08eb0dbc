/* A new trunk begins with what is known about its carrier; what somebody has typed stays. */
document.addEventListener("DOMContentLoaded", () => {
  "use strict";
  const source = document.getElementById("carrier-presets");
  const carrier = document.getElementById("id_carrier");
  if (!source || !carrier) return;

  const presets = JSON.parse(source.textContent);
  const help = document.querySelector("[data-carrier-help]");
  let before = presets[carrier.value];

  function choose() {
    const preset = presets[carrier.value];
    if (!preset) return;
    for (const [name, value] of Object.entries(preset.fields)) {
      const field = document.getElementById(`id_${name}`);
      if (field && (!field.value || (before && field.value === String(before.fields[name])))) field.value = value;
    }
    if (help) help.textContent = preset.help;
    before = preset;
  }

  carrier.addEventListener("change", choose);
  if (help && before) help.textContent = before.help;
});
