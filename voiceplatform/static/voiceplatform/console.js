/* The call page: sound, timeline and transcript follow one another. */
(() => {
  "use strict";
  const root = document.querySelector("[data-call-player]");
  if (!root) return;

  const audio = root.querySelector("[data-audio]");
  const transcript = root.querySelector("[data-transcript]");
  const timeline = root.querySelector("[data-timeline]");
  const playhead = root.querySelector("[data-playhead]");
  const follow = root.querySelector("[data-follow]");
  const source = document.getElementById("turn-index");
  const turns = source ? JSON.parse(source.textContent) : []; // [sequence, start ms, end ms, page]
  const length = timeline ? Number(timeline.dataset.duration) : 0;
  let marked = null;
  let wanted = null;
  let sought = 0; // when somebody last asked for a place

  const element = (sequence) => document.getElementById(`turn-${sequence}`);

  function spokenAt(ms) {
    let found = null;
    for (const turn of turns) {
      if (turn[1] > ms) break;
      if (ms <= turn[2] + 300) found = turn;
    }
    return found;
  }

  function lastBefore(ms) {
    let found = turns.length ? turns[0] : null;
    for (const turn of turns) {
      if (turn[1] > ms) break;
      found = turn;
    }
    return found;
  }

  // A long way is jumped: gliding over pages that are not there yet would fetch them all and miss the place.
  function reveal(turn) {
    const box = transcript.getBoundingClientRect();
    const way = turn.getBoundingClientRect().top - box.top - box.height / 3;
    transcript.scrollTo({ top: transcript.scrollTop + way, behavior: Math.abs(way) > 2 * box.height ? "instant" : "auto" });
  }

  function show(sequence, { page, scroll }) {
    const turn = element(sequence);
    if (!turn) {
      const pending = transcript && transcript.querySelector(`.vp-turns-pending[data-page="${page}"]`);
      if (pending && wanted !== sequence) {
        wanted = sequence;
        window.htmx.trigger(pending, "wanted");
      }
      return;
    }
    if (marked !== turn) {
      if (marked) marked.classList.remove("vp-speaking");
      turn.classList.add("vp-speaking");
      marked = turn;
      if (scroll) reveal(turn);
    }
  }

  function movePlayhead(ms) {
    if (!playhead || !length) return;
    const x = `${Math.min(100, (100 * ms) / length)}%`;
    playhead.setAttribute("x1", x);
    playhead.setAttribute("x2", x);
  }

  function seek(ms) {
    sought = Date.now();
    movePlayhead(ms);
    if (audio) {
      audio.currentTime = ms / 1000;
      audio.play().catch(() => {});
    }
    const turn = spokenAt(ms) || lastBefore(ms);
    if (turn) show(turn[0], { page: turn[3], scroll: true });
  }

  function onTime() {
    const ms = audio.currentTime * 1000;
    movePlayhead(ms);
    const turn = spokenAt(ms);
    if (turn) {
      show(turn[0], { page: turn[3], scroll: !follow || follow.checked });
    } else if (marked) {
      marked.classList.remove("vp-speaking");
      marked = null;
    }
  }

  // A page that stays open outlives its link: fetch a fresh one and go on at the same place.
  async function renew() {
    const at = audio.currentTime;
    const answer = await fetch(root.dataset.linkUrl, { credentials: "same-origin" });
    if (!answer.ok) return;
    audio.src = await answer.text();
    audio.currentTime = at;
    audio.play().catch(() => {});
  }

  if (audio) {
    let renewed = 0;
    audio.addEventListener("timeupdate", onTime);
    audio.addEventListener("seeked", onTime);
    audio.addEventListener("error", () => {
      if (Date.now() - renewed < 60000) return;
      renewed = Date.now();
      renew();
    });
  }

  if (timeline) {
    const svg = timeline.querySelector("svg");
    svg.addEventListener("click", (event) => {
      const box = svg.getBoundingClientRect();
      seek(Math.max(0, Math.min(1, (event.clientX - box.left) / box.width)) * length);
    });
  }

  if (transcript) {
    const play = (target) => {
      const turn = target.closest("[data-start]");
      if (turn) seek(Number(turn.dataset.start));
    };
    transcript.addEventListener("click", (event) => {
      if (!window.getSelection().toString()) play(event.target);
    });
    transcript.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && event.target.matches("[data-start]")) play(event.target);
    });
    transcript.addEventListener("htmx:load", () => {
      if (wanted === null || !element(wanted)) {
        if (marked && Date.now() - sought < 2000) reveal(marked); // a page above it has grown
        return;
      }
      const turn = turns.find((candidate) => candidate[0] === wanted);
      wanted = null;
      if (turn) show(turn[0], { page: turn[3], scroll: true });
    });
  }

  document.addEventListener("click", (event) => {
    const link = event.target.closest("[data-goto]");
    if (!link || !transcript) return;
    const turn = turns.find((candidate) => candidate[0] === Number(link.dataset.goto));
    if (!turn) return;
    event.preventDefault();
    sought = Date.now();
    transcript.scrollIntoView({ block: "nearest" });
    show(turn[0], { page: turn[3], scroll: true });
  });
})();
