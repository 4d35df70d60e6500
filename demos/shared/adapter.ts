/**
 * The pill in every page's head: which adapter computes, whether the CPU stands in for a GPU, and what of it does not work
 * as it should.
 */
import type { AdapterReport } from 'webalign/gpu';
import { byId, setText } from './dom.ts';

/** Browsers tell little: `nvidia`, `ampere`. */
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
