/**
 * Elements. Names, labels and comments come from devices and users: they are only ever text, never HTML (and the
 * server's policy requires trusted types, which nothing here makes).
 */

export function byId<T extends HTMLElement>(id: string): T {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`the page has no #${id}`);
  return found as T;
}

export type Child = Node | string;

export function make<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Readonly<Record<string, string | undefined>> = {},
  ...children: readonly Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

export function button(text: string, onClick: () => void, label?: string): HTMLButtonElement {
  const element = make('button', { type: 'button', 'aria-label': label }, text);
  element.addEventListener('click', onClick);
  return element;
}

/** Of the theme that is shown. */
export function colour(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

/** Calls `use` with the last arguments once nothing came for so long. */
export function debounced<A extends unknown[]>(ms: number, use: (...args: A) => void): (...args: A) => void {
  let timer: number | undefined;
  return (...args) => {
    clearTimeout(timer);
    timer = window.setTimeout(() => use(...args), ms);
  };
}
