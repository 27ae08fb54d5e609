// Elements, made and changed without ever reading text as markup, and only where something differs.

const SVG = "http://www.w3.org/2000/svg";

/** The element of that id. */
export function get(id) {
  return document.getElementById(id);
}

/** A new element with a class and children: nodes, or text. */
export function make(tag, style = "", ...children) {
  const made = document.createElement(tag);
  if (style) made.className = style;
  made.append(...children);
  return made;
}

/** A new button. */
export function button(style, text, pressed) {
  const made = make("button", style, text);
  made.type = "button";
  made.addEventListener("click", pressed);
  return made;
}

/** A new element of a drawing. */
export function draw(tag, attributes, ...children) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

/** Let *node* say *text*. */
export function say(node, text) {
  if (node.firstChild === null || node.firstChild !== node.lastChild || node.firstChild.data !== text) {
    node.textContent = text;
  }
}

/** Let *node* have the attribute, or with null not have it. */
export function set(node, name, value) {
  if (value === null) {
    if (node.hasAttribute(name)) node.removeAttribute(name);
  } else if (node.getAttribute(name) !== String(value)) {
    node.setAttribute(name, value);
  }
}

/** Let *node* be of exactly these classes. */
export function style(node, classes) {
  if (node.className !== classes) node.className = classes;
}

/** Show *node*, or hide it. */
export function show(node, isShown) {
  if (node.hidden === isShown) node.hidden = !isShown;
}
