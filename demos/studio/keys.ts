/** Keys of the page: they work wherever no text is being written and no dialog is open. */

/** Where a key belongs to what has the focus. */
const TAKES_KEYS = 'input:not([type=checkbox]), textarea, select, dialog, [contenteditable], [role=dialog]';

/** Calls the row of `actions` for a key without modifiers, and `undo` for Ctrl+Z or ⌘Z; `isActive` says whether they count now. */
export function onKeys(
  actions: Readonly<Record<string, () => void>>,
  undo: () => void,
  isActive: () => boolean,
): void {
  const byKey = new Map(Object.entries(actions));
  document.addEventListener('keydown', (event) => {
    if (!isActive() || event.repeat || event.altKey) return;
    if (event.target instanceof Element && event.target.closest(TAKES_KEYS)) return;
    const isCommand = event.ctrlKey || event.metaKey;
    const key = event.key.toLowerCase();
    const action = isCommand ? (key === 'z' && !event.shiftKey ? undo : undefined) : byKey.get(key);
    if (!action) return;
    event.preventDefault();
    action();
  });
}
