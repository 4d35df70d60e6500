/**
 * Loads the peers, wherever their bundles lie. One that cannot be opened twice is loaded again under another address, which
 * makes a second of it.
 */
import type { PeerSource } from './bench.ts';

interface PeerModule extends PeerSource {
  /** One device for as long as it is loaded. */
  oncePerLoad?: boolean;
  /** Its kernels read past the end of buffers, and are right only where indices are clamped. */
  needsClamping?: boolean;
}

/** `offer` is told what kind of adapter the next peer to open will look for. */
export async function loadPeers(
  names: readonly string[],
  urlOf: (name: string) => string,
  offer: (clamping: boolean) => void = () => {},
): Promise<PeerSource[]> {
  const sources: PeerSource[] = [];
  for (const each of names) {
    const url = urlOf(each);
    let opened = 0;
    const load = async (): Promise<PeerModule> => import(opened > 0 ? `${url}?${opened}` : url);
    const { name, version, oncePerLoad = false, needsClamping = false } = await load();
    const open = async () => {
      offer(needsClamping);
      const peer = await (await load()).open();
      if (oncePerLoad) opened++;
      return peer;
    };
    sources.push({ name, version, open });
  }
  return sources;
}
