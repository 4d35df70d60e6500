/** A table of this browser's IndexedDB. */
import { createStore, type UseStore } from 'idb-keyval';

/** Like idb-keyval's `createStore`. A browser that refuses with an exception rejects instead, so that callers have one case. */
export function browserStore(database: string, table: string): UseStore {
  const store = createStore(database, table);
  return async (mode, use) => store(mode, use);
}
