// The page: a picture goes to /classify, the labels come back.
const find = (id) => document.getElementById(id);
const [drop, picture, video, file, status, labels] = [
  "drop", "picture", "video", "file", "status", "labels",
].map(find);
const PATIENCE = 60_000;
const SLOW = 1500;
const LARGEST = 4096;
let running = null;
let stream = null;
let last = null;

const say = (text, wrong = false) => {
  status.textContent = text;
  status.classList.toggle("wrong", wrong);
};

const percent = (score) =>
  score >= 0 && score <= 1
    ? new Intl.NumberFormat(undefined, { style: "percent", minimumFractionDigits: 1, maximumFractionDigits: 1 }).format(score)
    : String(Math.round(score * 1000) / 1000);

const show = (answer, milliseconds) => {
  const most = Math.max(1, ...answer.predictions.map(({ score }) => score));
  labels.replaceChildren(...answer.predictions.map(({ label, score }) => {
    const item = document.createElement("li");
    const name = document.createElement("span");
    name.className = "name";
    name.textContent = label;
    const value = document.createElement("span");
    value.className = "score";
    value.textContent = percent(score);
    const bar = document.createElement("progress");
    bar.max = most;
    bar.value = Math.max(0, score);
    bar.setAttribute("aria-hidden", "true");
    item.append(name, value, bar);
    return item;
  }));
  const [first] = answer.predictions;
  say(first ? `${first.label}, ${percent(first.score)}` : "No label.");
  find("used-model").textContent = answer.model ?? "the worker's own";
  find("used-worker").textContent = answer.worker;
  const inside = answer.timings_ms.total;
  find("time").textContent =
    `${Math.round(milliseconds)} ms` + (inside === undefined ? "" : `, ${inside.toFixed(1)} ms of them at work`);
  find("facts").hidden = false;
};

/** Nothing of an earlier answer stays beside what is said now. */
const clear = () => {
  labels.replaceChildren();
  find("facts").hidden = find("again").hidden = true;
};

const fail = (text, again = false) => {
  clear();
  find("again").hidden = !again;
  say(text, true);
};

const reason = async (response) => {
  try {
    const { error } = await response.json();
    return error.hint ? `${error.message} (${error.hint})` : error.message;
  } catch {
    return `the server answered with status ${response.status}`;
  }
};

const classify = async (blob, name) => {
  running?.abort();
  last = [blob, name];
  find("again").hidden = true;
  const mine = (running = new AbortController());
  const slow = setTimeout(() => say("Still working …"), SLOW);
  const late = setTimeout(() => mine.abort("late"), PATIENCE);
  document.body.classList.add("busy");
  say("Looking …");
  const started = performance.now();
  const model = find("model").value;
  const form = new FormData();
  form.append("image", blob, name);
  try {
    const query = model ? `?model=${encodeURIComponent(model)}` : "";
    const response = await fetch(`/classify${query}`, { method: "POST", body: form, signal: mine.signal });
    if (response.ok) show(await response.json(), performance.now() - started);
    else if (response.status === 503) fail("The server is busy.", true);
    else fail(`That did not work: ${await reason(response)}`);
  } catch {
    if (mine.signal.reason === "late") fail("The server did not answer in time.", true);
    else if (!mine.signal.aborted) fail("The server cannot be reached.", true);
  } finally {
    clearTimeout(slow);
    clearTimeout(late);
    if (running === mine) {
      running = null;
      document.body.classList.remove("busy");
    }
  }
};

/** The picture in the frame, or, without one, how to choose one. */
const frame = (blob, name) => {
  URL.revokeObjectURL(picture.src);
  if (blob) picture.src = URL.createObjectURL(blob);
  else picture.removeAttribute("src");
  picture.alt = blob ? `The picture ${name}` : "";
  picture.hidden = !blob;
  find("invitation").hidden = Boolean(blob);
};

/** Show a picture and ask about it; a huge photograph is made smaller before it travels. */
const take = async (blob, name = "picture") => {
  closeCamera();
  if (!blob.type.startsWith("image/")) {
    running?.abort();
    frame(null);
    fail(`${name} is no picture.`);
    return;
  }
  frame(blob, name);
  await classify(await smaller(blob), name);
};

const smaller = async (blob) => {
  if (blob.size < 8_000_000) return blob;
  try {
    const bitmap = await createImageBitmap(blob);
    const scale = Math.min(1, LARGEST / Math.max(bitmap.width, bitmap.height));
    const canvas = document.createElement("canvas");
    canvas.width = Math.round(bitmap.width * scale);
    canvas.height = Math.round(bitmap.height * scale);
    canvas.getContext("2d").drawImage(bitmap, 0, 0, canvas.width, canvas.height);
    return (await new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.92))) ?? blob;
  } catch {
    return blob; // the server will say what is wrong with it
  }
};

const openCamera = async () => {
  if (!navigator.mediaDevices) {
    fail("The camera needs https, or a server on this machine.");
    return;
  }
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
  } catch {
    fail("There is no camera, or the browser does not give it.");
    return;
  }
  video.srcObject = stream;
  await video.play();
  cameraShown(true);
  clear();
  say("The camera is on.");
  find("shutter").focus();
};

const cameraShown = (on) => {
  video.hidden = !on;
  picture.hidden = on || !picture.src;
  find("invitation").hidden = on || !picture.hidden;
  for (const [id, hidden] of [["shutter", !on], ["cancel", !on], ["camera", on]]) find(id).hidden = hidden;
};

const closeCamera = () => {
  if (stream === null) return;
  for (const track of stream.getTracks()) track.stop();
  stream = null;
  video.srcObject = null;
  cameraShown(false);
  say("No picture was taken.");
};

const shoot = () => {
  const canvas = document.createElement("canvas");
  canvas.width = video.videoWidth;
  canvas.height = video.videoHeight;
  canvas.getContext("2d").drawImage(video, 0, 0);
  canvas.toBlob((blob) => blob && take(blob, "photo.jpg"), "image/jpeg", 0.92);
};

const pictureOf = (transfer) =>
  [...(transfer?.files ?? [])].find((item) => item.type.startsWith("image/")) ?? transfer?.files?.[0];

file.addEventListener("change", () => {
  const [chosen] = file.files;
  if (chosen) take(chosen, chosen.name);
  file.value = ""; // the same picture may be chosen again
});
// what a browser cannot show, a server may know all the same
picture.addEventListener("error", () => frame(null));
find("again").addEventListener("click", () => classify(...last));
find("camera").addEventListener("click", openCamera);
find("shutter").addEventListener("click", shoot);
find("cancel").addEventListener("click", () => {
  closeCamera();
  find("camera").focus();
});
document.addEventListener("paste", (event) => {
  const pasted = pictureOf(event.clipboardData);
  if (pasted) take(pasted, pasted.name || "pasted picture");
});
for (const name of ["dragenter", "dragover"]) {
  document.addEventListener(name, (event) => {
    event.preventDefault();
    drop.classList.add("over");
  });
}
for (const name of ["dragleave", "drop"]) {
  document.addEventListener(name, (event) => {
    event.preventDefault();
    drop.classList.remove("over");
  });
}
document.addEventListener("drop", (event) => {
  const dropped = pictureOf(event.dataTransfer);
  if (dropped) take(dropped, dropped.name);
});
addEventListener("keydown", (event) => {
  if (event.key === "Escape") closeCamera();
});

try {
  const { models } = await (await fetch("/models")).json();
  find("model").replaceChildren(...models.map(({ name }) => new Option(name, name)));
  find("model-line").hidden = models.length < 2;
} catch {
  fail("The server cannot be reached.");
}
