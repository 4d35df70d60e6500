/**
 * Makes an input smaller that keeps its effect: pieces are cut out of each file, halves first, single bytes last (delta
 * debugging). The number of tries is limited, since one may take seconds.
 */
import type { Folder } from './folder.ts';

export async function minimise(
  folder: Folder,
  same: (folder: Folder) => Promise<boolean>,
  tries = 3000,
): Promise<Folder> {
  let best = folder;
  let left = tries;
  const holds = async (smaller: Folder): Promise<boolean> => {
    if (left-- <= 0 || !(await same(smaller))) return false;
    best = smaller;
    return true;
  };
  for (const name of Object.keys(folder)) {
    const { [name]: _, ...others } = best;
    if (await holds(others)) continue;
    for (
      let piece = Math.ceil(best[name].length / 2);
      piece >= 1 && left > 0;
      piece = Math.floor(piece / 2)
    ) {
      for (let at = 0; at < best[name].length && left > 0; ) {
        const shorter = cut(best[name], at, at + piece);
        if (!(await holds({ ...best, [name]: shorter }))) at += piece;
      }
    }
  }
  return best;
}

function cut(bytes: Uint8Array, from: number, to: number): Uint8Array<ArrayBuffer> {
  const end = Math.min(to, bytes.length);
  const shorter = new Uint8Array(bytes.length - (end - from));
  shorter.set(bytes.subarray(0, from));
  shorter.set(bytes.subarray(end), from);
  return shorter;
}
