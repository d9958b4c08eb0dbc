/* A call from this browser to an agent: the microphone first, then the call, then what is said. */
document.addEventListener("DOMContentLoaded", () => {
  "use strict";
  const { Room, RoomEvent, Track } = window.LivekitClient;
  const find = (name) => document.querySelector(`[data-${name}]`);
  const form = find("form"), state = find("state"), turns = find("turns"), devices = find("devices");
  const talk = find("talk"), test = find("test"), hangUp = find("hang-up");
  const POLL_MS = 700;
  const LOUD = 0.02;
  const DUPLICATE = 2;
  const call = { room: null, id: "", polling: 0, clickedAt: 0, heardAt: 0, leaving: false };
  let sound = null;
  let microphone = null;

  const TROUBLE = {
    NotAllowedError: "This browser does not let the page use the microphone. Click the sign to the left of the address, allow the microphone for this site, and try again. If it is allowed there, look into the system's privacy settings.",
    NotFoundError: "No microphone was found. Plug one in, then try again.",
    OverconstrainedError: "The chosen microphone is gone. Choose another one.",
    NotReadableError: "The microphone is there, but something else uses it. Close other calls or recorders, then try again.",
  };

  function tell(text, bad = false) {
    state.textContent = text;
    state.classList.toggle("bad", bad);
  }

  function show(phase) {
    document.documentElement.dataset.phase = phase;
    const talks = phase === "talking" || phase === "joining";
    talk.hidden = test.hidden = talks;
    hangUp.hidden = !talks;
    talk.disabled = test.disabled = phase === "asking";
    find("version").disabled = devices.disabled = talks;
  }

  function meter(stream, element, heard = () => {}) {
    sound ??= new AudioContext();
    sound.resume();
    const analyser = sound.createAnalyser();
    const samples = new Float32Array((analyser.fftSize = 512));
    sound.createMediaStreamSource(stream).connect(analyser);
    const bar = element.querySelector("i");
    const timer = setInterval(() => {
      analyser.getFloatTimeDomainData(samples);
      const level = Math.sqrt(samples.reduce((sum, one) => sum + one * one, 0) / samples.length);
      const share = Math.min(1, level * 5);
      bar.style.transform = `scaleX(${share})`;
      element.setAttribute("aria-valuenow", String(Math.round(share * 100)));
      if (level > LOUD) heard();
    }, 40);
    return () => {
      clearInterval(timer);
      bar.style.transform = "scaleX(0)";
    };
  }

  async function openMicrophone() {
    if (!navigator.mediaDevices?.getUserMedia) {
      throw new Error("Browsers give microphones to pages over https or on localhost only. Open this console there.");
    }
    const wanted = devices.value ? { deviceId: { exact: devices.value } } : {};
    closeMicrophone();
    const audio = { ...wanted, echoCancellation: true, noiseSuppression: true, autoGainControl: true };
    const stream = await navigator.mediaDevices.getUserMedia({ audio });
    microphone = { stream, stop: meter(stream, find("mine")) };
    await listDevices();
    return stream.getAudioTracks()[0];
  }

  function closeMicrophone() {
    microphone?.stop();
    microphone?.stream.getTracks().forEach((track) => track.stop());
    microphone = null;
  }

  async function listDevices() {
    const chosen = devices.value;
    const found = (await navigator.mediaDevices.enumerateDevices()).filter((one) => one.kind === "audioinput" && one.deviceId);
    const options = found.map((one, number) => new Option(one.label || `Microphone ${number + 1}`, one.deviceId));
    devices.replaceChildren(devices.options[0], ...options);
    devices.value = found.some((one) => one.deviceId === chosen) ? chosen : "";
  }

  async function ask(url, fields) {
    const body = new FormData();
    for (const [name, value] of Object.entries(fields)) body.append(name, value);
    body.append("csrfmiddlewaretoken", form.elements.csrfmiddlewaretoken.value);
    const answer = await fetch(url, { method: "POST", body });
    const told = answer.headers.get("Content-Type")?.includes("json") ? await answer.json() : {};
    if (!answer.ok) throw new Error(told.problem ?? `The console refused (${answer.status}). Load the page again.`);
    return told;
  }

  function room() {
    const made = new Room({ disconnectOnPageLeave: true });
    const playing = new Map();
    window.playRoom(made, tell);
    made.on(RoomEvent.TrackSubscribed, (track) => {
      if (track.kind !== Track.Kind.Audio) return;
      playing.set(track.sid, meter(new MediaStream([track.mediaStreamTrack]), find("theirs"), heard));
    });
    made.on(RoomEvent.TrackUnsubscribed, (track) => playing.get(track.sid)?.());
    made.on(RoomEvent.Reconnecting, () => tell("The connection is broken; trying again …", true));
    made.on(RoomEvent.Reconnected, () => tell("Connected again. Speak."));
    made.on(RoomEvent.Disconnected, (reason) => {
      playing.forEach((stop) => stop());
      over(reason === DUPLICATE ? "The call goes on in another tab or window." : "");
    });
    return made;
  }

  function heard() {
    if (call.heardAt || !call.clickedAt) return;
    call.heardAt = performance.now();
    const seconds = ((call.heardAt - call.clickedAt) / 1000).toFixed(1);
    document.documentElement.dataset.heardMs = String(Math.round(call.heardAt - call.clickedAt));
    tell(`You heard the agent ${seconds} s after your click. Speak.`);
  }

  async function begin(event) {
    event.preventDefault();
    call.clickedAt = performance.now();
    call.heardAt = 0;
    call.leaving = false;
    show("asking");
    tell("Asking for the microphone …");
    turns.replaceChildren();
    turns.hidden = true;
    try {
      const track = await openMicrophone();
      show("joining");
      tell("Calling …");
      const entry = await ask(form.dataset.start, { version: find("version").value });
      call.id = entry.call;
      if (call.leaving) throw new Error("you have hung up.");
      call.room = room();
      await call.room.connect(entry.url, entry.token);
      await call.room.localParticipant.publishTrack(track, { source: Track.Source.Microphone });
      show("talking");
      if (!call.heardAt) tell("Connected. The agent is about to speak.");
      poll();
    } catch (error) {
      await failed(error);
    }
  }

  async function failed(error) {
    const made = call.room;
    call.room = null;
    await made?.disconnect();
    if (call.id) await ask(form.dataset.leave, { call: call.id }).catch(() => {});
    call.id = "";
    closeMicrophone();
    show("failed");
    tell(TROUBLE[error.name] ?? `This did not work: ${error.message}`, true);
  }

  async function poll() {
    clearTimeout(call.polling);
    const told = await look();
    if (told && told.status !== "ended") call.polling = setTimeout(poll, POLL_MS);
    if (told?.status === "ended") await call.room?.disconnect();
  }

  async function look() {
    try {
      const answer = await fetch(`${form.dataset.said}?call=${call.id}`);
      const told = await answer.json();
      turns.replaceChildren(...told.turns.map(line));
      turns.hidden = !told.turns.length;
      return told;
    } catch {
      return { status: "unknown" };
    }
  }

  function line(turn) {
    const item = document.createElement("li");
    const who = document.createElement("small");
    const gap = turn.gap_ms === null ? "" : ` · after ${(turn.gap_ms / 1000).toFixed(1)} s`;
    who.textContent = `${turn.speaker === "agent" ? "Agent" : "You"}${gap}${turn.interrupted ? " · interrupted" : ""}`;
    item.className = turn.speaker;
    item.append(who, turn.text || "(no words)");
    return item;
  }

  async function over(why) {
    if (!call.room) return;
    call.room = null;
    clearTimeout(call.polling);
    closeMicrophone();
    show("over");
    tell(why || "The call has ended.");
    if (why) return;
    for (let tries = 0; tries < 10; tries += 1) {
      const told = await look();
      if (told.status === "ended") return tell(told.ended);
      await new Promise((done) => setTimeout(done, POLL_MS));
    }
  }

  form.addEventListener("submit", begin);
  hangUp.addEventListener("click", () => {
    call.leaving = true;
    call.room?.disconnect();
  });
  test.addEventListener("click", async () => {
    try {
      await openMicrophone();
      tell("Speak: the upper bar moves when you are heard.");
    } catch (error) {
      tell(TROUBLE[error.name] ?? error.message, true);
    }
  });
  devices.addEventListener("change", () => microphone && test.click());
  navigator.mediaDevices?.addEventListener("devicechange", listDevices);
  navigator.permissions?.query({ name: "microphone" }).then((permission) => {
    const look = () => permission.state === "denied" && tell(TROUBLE.NotAllowedError, true);
    permission.addEventListener("change", look);
    look();
  }, () => {});
  show("ready");
});
