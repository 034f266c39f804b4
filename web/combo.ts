/**
 * A text field with a list of suggestions, as the ARIA practices describe it (combobox with list autocomplete): the focus
 * stays in the field, the arrows move through the list, Enter takes, Escape closes.
 */
import { debounced, make } from './dom.ts';

export interface Suggestion {
  readonly value: string;
  readonly text: string;
  readonly detail?: string | undefined;
}

export interface ComboOptions {
  readonly input: HTMLInputElement;
  readonly list: HTMLElement;
  suggest(
    text: string,
    signal: AbortSignal,
  ): Promise<{ suggestions: Suggestion[]; note?: string | undefined }>;
  take(value: string): void;
  failed(error: unknown): void;
  /** Take what is written where nothing is suggested. */
  readonly free: boolean;
}

const WAIT_MS = 150;

export function makeCombo({ input, list, suggest, take, failed, free }: ComboOptions): void {
  let items: HTMLElement[] = [];
  let active = -1;
  let running: AbortController | undefined;

  const close = () => {
    list.hidden = true;
    input.setAttribute('aria-expanded', 'false');
    input.removeAttribute('aria-activedescendant');
    active = -1;
  };
  const mark = (index: number) => {
    active = index;
    for (const [at, item] of items.entries()) item.setAttribute('aria-selected', String(at === index));
    const item = items[index];
    if (item === undefined) {
      input.removeAttribute('aria-activedescendant');
      return;
    }
    input.setAttribute('aria-activedescendant', item.id);
    item.scrollIntoView({ block: 'nearest' });
  };
  const choose = (value: string) => {
    input.value = '';
    running?.abort();
    close();
    take(value);
  };
  const show = (suggestions: readonly Suggestion[], note: string | undefined) => {
    items = suggestions.map(({ value, text, detail }, index) => {
      const item = make(
        'div',
        { class: 'suggestion', role: 'option', id: `${list.id}-${index}`, 'aria-selected': 'false' },
        text,
      );
      if (detail) item.append(make('small', {}, detail));
      // Before the field loses the focus.
      item.addEventListener('pointerdown', (event) => {
        event.preventDefault();
        choose(value);
      });
      item.dataset.value = value;
      return item;
    });
    list.replaceChildren(...items);
    if (note)
      list.append(
        make(
          'div',
          { class: 'suggestion', role: 'option', 'aria-disabled': 'true', 'aria-selected': 'false' },
          note,
        ),
      );
    list.hidden = list.childElementCount === 0;
    input.setAttribute('aria-expanded', String(!list.hidden));
    active = -1;
  };
  const search = async () => {
    running?.abort();
    running = new AbortController();
    const { signal } = running;
    try {
      const { suggestions, note } = await suggest(input.value.trim(), signal);
      if (!signal.aborted && document.activeElement === input) show(suggestions, note);
    } catch (error) {
      if (!signal.aborted) failed(error);
    }
  };
  const searchSoon = debounced(WAIT_MS, () => void search());

  input.addEventListener('input', searchSoon);
  input.addEventListener('focus', () => void search());
  input.addEventListener('blur', () => {
    running?.abort();
    close();
  });
  input.addEventListener('keydown', (event) => {
    if (event.key === 'ArrowDown' || event.key === 'ArrowUp') {
      event.preventDefault();
      if (list.hidden) void search();
      else if (items.length > 0) {
        const step = event.key === 'ArrowDown' ? 1 : -1;
        mark((active + step + items.length + (active < 0 && step < 0 ? 1 : 0)) % items.length);
      }
    } else if (event.key === 'Enter') {
      event.preventDefault();
      const written = input.value.trim();
      const exact = items.find((item) => item.dataset.value === written);
      const value = (items[active] ?? exact)?.dataset.value;
      if (value !== undefined) choose(value);
      else if (free && written !== '') choose(written);
    } else if (event.key === 'Escape' && !list.hidden) {
      event.preventDefault();
      close();
    }
  });
}
