/**
 * The adapter badge in every page's header: the adapter in use, whether it is software on the CPU, and its known problems.
 */
import type { AdapterReport } from 'webalign/gpu';
import { byId, setText } from './dom.ts';

/** Browsers reveal little: `nvidia`, `ampere`. */
export function showAdapter({ vendor, architecture, description, software, warning }: AdapterReport): void {
  const name = description || [vendor, architecture].filter(Boolean).join(' ') || 'unnamed';
  const kind = software ? `Software adapter on the CPU (${name}), slow` : `Native GPU (${name})`;
  show(software ? 'software' : 'native', warning ? `${kind}. ${warning}` : kind);
}

export function showNoAdapter(): void {
  show('none', 'No WebGPU');
}

function show(kind: 'software' | 'native' | 'none', text: string): void {
  byId('adapter', HTMLElement).dataset.kind = kind;
  setText(byId('adapter-text', HTMLElement), text);
}
