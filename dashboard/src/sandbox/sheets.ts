// xterm writes <style> elements and style attributes, which the page's rules refuse. While a terminal is open, the document hands
// out style elements that only look like some: what is written into one becomes a style sheet of the document's own, and a
// style attribute becomes the element's own style; neither needs leave. (xterm has an option for another document, but its rows and its
// scrollbar take this one all the same.)

const plain = (name: string, options?: ElementCreationOptions) => Document.prototype.createElement.call(document, name, options);

function sheetElement(sheets: Set<CSSStyleSheet>) {
  const element = plain("template");
  const sheet = new CSSStyleSheet();
  let written = "";
  Object.defineProperty(element, "textContent", {
    get: () => written,
    set: (text: string) => {
      written = text;
      sheet.replaceSync(text);
    },
  });
  element.remove = () => {
    drop(sheets, sheet);
    Element.prototype.remove.call(element);
  };
  sheets.add(sheet);
  document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet];
  return element;
}

function drop(sheets: Set<CSSStyleSheet>, sheet: CSSStyleSheet) {
  sheets.delete(sheet);
  document.adoptedStyleSheets = document.adoptedStyleSheets.filter((one) => one !== sheet);
}

/** Begins it; what is returned ends it, and takes the sheets away. One at a time. */
export function styleByTheDocument(): () => void {
  const sheets = new Set<CSSStyleSheet>();
  const create = (name: string, options?: ElementCreationOptions) => {
    if (name === "style") return sheetElement(sheets);
    const element = plain(name, options);
    if (name === "span") {
      element.setAttribute = (key: string, value: string) => {
        if (key === "style") element.style.cssText = value;
        else Element.prototype.setAttribute.call(element, key, value);
      };
    }
    return element;
  };
  document.createElement = create as typeof document.createElement;
  return () => {
    // What the prototype has shows again.
    delete (document as Partial<Document>).createElement;
    for (const sheet of sheets) drop(sheets, sheet);
  };
}
