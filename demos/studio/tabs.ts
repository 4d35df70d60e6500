/**
 * The tabs, by the pattern of the ARIA guide: arrows move and show, and only the shown tab is in the tab order. The address
 * keeps which one it is, so that a reload shows it again.
 */
import { byId } from '../shared/dom.ts';

export const TABS = ['model', 'collect', 'train', 'compare', 'keep'] as const;
export type TabName = (typeof TABS)[number];

/** By key: where the focus goes from tab `at`. */
const MOVES = new Map<string, (at: number) => number>([
  ['ArrowRight', (at) => (at + 1) % TABS.length],
  ['ArrowLeft', (at) => (at + TABS.length - 1) % TABS.length],
  ['Home', () => 0],
  ['End', () => TABS.length - 1],
]);

const tabOf = (name: TabName) => byId(`tab-${name}`, HTMLButtonElement);

export class Tabs {
  shown: TabName = 'collect';

  constructor(private readonly onShow: (name: TabName) => void) {
    for (const [at, name] of TABS.entries()) {
      tabOf(name).addEventListener('click', () => this.show(name));
      tabOf(name).addEventListener('keydown', (event) => {
        const next = TABS[MOVES.get(event.key)?.(at) ?? -1];
        if (!next) return;
        event.preventDefault();
        this.show(next);
        tabOf(next).focus();
      });
    }
    addEventListener('hashchange', () => this.show(this.named()));
    this.show(this.named());
  }

  show(name: TabName): void {
    this.shown = name;
    for (const each of TABS) {
      const tab = tabOf(each);
      tab.setAttribute('aria-selected', String(each === name));
      tab.tabIndex = each === name ? 0 : -1;
      byId(`panel-${each}`, HTMLDivElement).hidden = each !== name;
    }
    if (location.hash !== `#${name}`) history.replaceState(null, '', `#${name}`);
    this.onShow(name);
  }

  /** The tab that the address names; otherwise the one where work begins. */
  private named(): TabName {
    return TABS.find((name) => `#${name}` === location.hash) ?? 'collect';
  }
}
