/**
 * Loads the peers, wherever their bundles are. One that cannot be opened twice is loaded again from another URL, which
 * creates a second instance.
 */
import type { PeerSource } from './bench.ts';

interface PeerModule extends PeerSource {
  /** It keeps one device for as long as it is loaded. */
  oncePerLoad?: boolean;
  /** Its kernels read past the end of buffers, and are right only if indices are clamped. */
  needsClamping?: boolean;
}

/** `offer` is told what kind of adapter the next opened peer will look for. */
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
