/* Listening to a call, or speaking in it, in one room and with a token that holds for this once. */
document.addEventListener("DOMContentLoaded", async () => {
  "use strict";
  const entry = JSON.parse(document.getElementById("entry").textContent);
  const { Room, RoomEvent } = window.LivekitClient;
  const find = (name) => document.querySelector(`[data-${name}]`);
  const state = find("state");
  const microphone = find("microphone");

  const room = new Room({
    /* The token admits once: who is cut off asks for another one. */
    reconnectPolicy: { nextRetryDelayInMs: () => null },
    disconnectOnPageLeave: true,
    stopLocalTrackOnUnpublish: true,
  });

  function tell(text, bad = false) {
    state.textContent = text;
    state.classList.toggle("bad", bad);
  }

  function over(text, bad) {
    tell(text, bad);
    for (const button of document.querySelectorAll("button")) button.disabled = true;
  }

  function parties() {
    const count = room.remoteParticipants.size;
    find("who").textContent = count ? `${count} in the call beside you` : "Nobody else is in the call";
  }

  window.playRoom(room, tell);
  room.on(RoomEvent.ParticipantConnected, parties);
  room.on(RoomEvent.ParticipantDisconnected, parties);
  room.on(RoomEvent.Disconnected, (reason) => {
    const asked = reason === 1;
    over(asked ? "You have left the call. You can close this page." : "The call has ended, or the connection was lost.", !asked);
  });

  find("leave").addEventListener("click", () => room.disconnect());
  microphone?.addEventListener("click", async () => {
    const muted = microphone.getAttribute("aria-pressed") === "false";
    await room.localParticipant.setMicrophoneEnabled(!muted);
    microphone.setAttribute("aria-pressed", String(muted));
    microphone.textContent = muted ? "Unmute my microphone" : "Mute my microphone";
  });

  try {
    await room.connect(entry.url, entry.token, { maxRetries: 0 });
    if (entry.speaks) await room.localParticipant.setMicrophoneEnabled(true);
    tell(entry.speaks ? "The caller hears you." : "You are listening.");
    parties();
  } catch (error) {
    over(`This did not work: ${error.message}. Go back to the call and ask again.`, true);
    await room.disconnect();
  }
});
