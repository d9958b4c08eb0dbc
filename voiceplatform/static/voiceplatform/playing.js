/* Plays what is said in a room; where the browser waits for a click before it plays anything, it is asked for. */
window.playRoom = (room, tell) => {
  "use strict";
  const { RoomEvent, Track } = window.LivekitClient;
  room.on(RoomEvent.TrackSubscribed, (track) => {
    if (track.kind === Track.Kind.Audio) document.body.append(track.attach());
  });
  room.on(RoomEvent.TrackUnsubscribed, (track) => track.detach().forEach((element) => element.remove()));
  room.on(RoomEvent.AudioPlaybackStatusChanged, () => {
    if (room.canPlaybackAudio) return;
    tell("Click anywhere to hear the call.");
    document.addEventListener("click", () => room.startAudio(), { once: true });
  });
};
