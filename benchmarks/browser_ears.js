/* Notes when the microphone and the agent are audible in the page, which passes both through Web Audio for its meters. */
(() => {
  "use strict";
  const LOUD = 0.01, SILENT_MS = 300, STEP_MS = 10;
  const own = new WeakSet();
  const spans = { mine: [], theirs: [] };
  const open = MediaDevices.prototype.getUserMedia;
  MediaDevices.prototype.getUserMedia = async function (...wanted) {
    const stream = await open.apply(this, wanted);
    own.add(stream);
    return stream;
  };
  const make = AudioContext.prototype.createMediaStreamSource;
  AudioContext.prototype.createMediaStreamSource = function (stream) {
    const source = make.call(this, stream);
    const analyser = this.createAnalyser();
    const samples = new Float32Array((analyser.fftSize = 512));
    source.connect(analyser);
    const side = own.has(stream) ? spans.mine : spans.theirs;
    setInterval(() => {
      analyser.getFloatTimeDomainData(samples);
      if (Math.sqrt(samples.reduce((sum, one) => sum + one * one, 0) / samples.length) < LOUD) return;
      const now = performance.now(), last = side.at(-1);
      if (last && now - last.end < SILENT_MS) last.end = now;
      else side.push({ start: now, end: now });
    }, STEP_MS);
    return source;
  };
  /* From the end of what the caller said to the beginning of the agent's answer, in milliseconds. */
  window.gaps = () =>
    spans.theirs.flatMap((answer, at) => {
      const before = spans.mine.filter((span) => span.end < answer.start).at(-1);
      const answered = at > 0 && before && spans.theirs[at - 1].start > before.end;
      return before && !answered ? [answer.start - before.end] : [];
    });
})();
