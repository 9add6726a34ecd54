// The API's description, from /openapi.json, as a page.
const element = (tag, text, name) => {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  if (name) made.className = name;
  return made;
};

const example = (path, method, operation) => {
  const address = `${location.origin}${path}`;
  if (path === "/classify") return `curl -F image=@photo.jpg ${address}`;
  return method === "get" ? `curl ${address}` : `curl -d @request.json ${address}`;
};

const operationOf = (path, method, operation) => {
  const section = element("section", undefined, "operation");
  const heading = element("h2");
  heading.append(element("code", method.toUpperCase(), "method"), element("code", path));
  section.append(heading, element("p", operation.summary));
  const parameters = operation.parameters ?? [];
  if (parameters.length) {
    const list = element("dl");
    for (const { name, schema } of parameters) {
      const line = element("div");
      line.append(element("dt", name), element("dd", schema.enum?.join(", ") ?? schema.type));
      list.append(line);
    }
    section.append(list);
  }
  const codes = Object.entries(operation.responses);
  if (codes.length > 1) {
    section.append(element("p", codes.map(([code, { description }]) => `${code} ${description}`).join(" · ")));
  }
  const sample = element("pre");
  sample.tabIndex = 0;
  sample.append(element("code", example(path, method, operation)));
  section.append(sample);
  return section;
};

const place = document.getElementById("operations");
try {
  const { paths } = await (await fetch("/openapi.json")).json();
  place.replaceChildren(...Object.entries(paths).flatMap(([path, operations]) =>
    Object.entries(operations).map(([method, operation]) => operationOf(path, method, operation))));
} catch {
  place.replaceChildren(element("p", "The server cannot be reached."));
}
