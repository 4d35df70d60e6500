/** Checkpoint stores, the package's and one written here, tested for what a store promises. */
import { expect } from 'chai';
import type { Gpu } from 'webalign';
import {
  type CheckpointStore,
  InputError,
  indexedDbCheckpointStore,
  memoryCheckpointStore,
  memoryReferenceCache,
  opfsCheckpointStore,
  storedReferenceCache,
} from 'webalign/files';
import { inNode, requestGpuOf } from './place.ts';
import { keepsItsPromises } from './store-contract.ts';

/** The test's own store: a list of writes, of which the last one counts, as in an append-only log. */
class Log implements CheckpointStore {
  constructor(private readonly writes: Uint8Array<ArrayBuffer>[]) {}

  async read(): Promise<Uint8Array<ArrayBuffer> | undefined> {
    return this.writes.at(-1)?.slice();
  }

  async write(bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    this.writes.push(bytes.slice());
  }
}

/** One store per name. */
function byName<T>(make: (name: string) => T): (name: string) => T {
  const made = new Map<string, T>();
  return (name) => {
    const known = made.get(name) ?? make(name);
    made.set(name, known);
    return known;
  };
}

describe('outside/store', () => {
  let gpu: Gpu;
  before(async () => {
    gpu = await requestGpuOf();
  });
  after(() => gpu?.dispose());

  describe('a store implemented outside the package', () => {
    const logs = byName((): Uint8Array<ArrayBuffer>[] => []);
    keepsItsPromises(
      (name) => new Log(logs(name)),
      () => gpu,
    );
  });

  describe('memory', () => keepsItsPromises(byName(memoryCheckpointStore), () => gpu));

  if (inNode) {
    describe('a file', () => {
      let folder = '';
      let store: (path: string) => CheckpointStore;
      before(async () => {
        const [{ mkdtemp }, { tmpdir }, { join }] = await Promise.all([
          import('node:fs/promises'),
          import('node:os'),
          import('node:path'),
        ]);
        folder = await mkdtemp(join(tmpdir(), 'webalign-store-'));
        store = (await import('webalign/node')).fileCheckpointStore;
      });
      after(async () => (await import('node:fs/promises')).rm(folder, { recursive: true }));
      keepsItsPromises(
        (name) => store(`${folder}/${name}`),
        () => gpu,
      );
    });
    return;
  }

  describe('IndexedDB', () => {
    const database = `webalign-test-${Math.random()}`;
    const store = (name: string) => indexedDbCheckpointStore(name, { database });
    after(() => void indexedDB.deleteDatabase(database));
    keepsItsPromises(store, () => gpu);

    it('deletes, separates keys, and rejects foreign data', async () => {
      await Promise.all([store('a').write(Uint8Array.of(1)), store('b').write(Uint8Array.of(2))]);
      await store('a').remove();
      expect([await store('a').read(), await store('b').read()]).to.deep.equal([undefined, Uint8Array.of(2)]);
      await store('a').remove();
      await put(database, 'c', 'no bytes');
      const error = await store('c')
        .read()
        .catch((reason) => reason);
      expect(error).to.be.instanceOf(InputError);
      expect(error.message).to.include('c in IndexedDB');
    });

    it('stores the log-probabilities of references', async () => {
      const cache = storedReferenceCache((key) => store(`reference ${key}`));
      const values = Float32Array.of(-1.5, -2.25);
      await cache.put('hash', values);
      expect(await cache.get('hash')).to.deep.equal(values);
      expect(await cache.get('another')).to.equal(await memoryReferenceCache().get('another'));
    });
  });

  describe('the private file system', () => {
    const folder = `webalign-test-${Math.random()}`;
    const store = (name: string) => opfsCheckpointStore(`${folder}/${name}`);
    after(async () => (await navigator.storage.getDirectory()).removeEntry(folder, { recursive: true }));
    keepsItsPromises(store, () => gpu);

    it('deletes, and rejects a path that leads outside', async () => {
      await store('a').write(Uint8Array.of(1));
      await store('a').remove();
      await store('a').remove();
      expect(await store('a').read()).to.equal(undefined);
      expect(await opfsCheckpointStore('no such folder/a').read()).to.equal(undefined);
      for (const path of ['', '../a', 'a//b', 'a/'])
        expect(() => opfsCheckpointStore(path)).to.throw(InputError);
    });
  });

  it('reports that a page cannot store anything', async () => {
    const refuse = {
      value: () => Promise.reject(new DOMException('no', 'SecurityError')),
      configurable: true,
    };
    Object.defineProperty(navigator.storage, 'getDirectory', refuse);
    const error = await opfsCheckpointStore('a')
      .write(Uint8Array.of(1))
      .catch((reason) => reason);
    Reflect.deleteProperty(navigator.storage, 'getDirectory');
    expect(error).to.be.instanceOf(InputError);
    expect(error.message).to.include('a in the browser’s private file system'.replace('’', "'"));
  });
});

/** Stores something else under a key of the database. */
async function put(database: string, key: string, value: string): Promise<void> {
  const db = await new Promise<IDBDatabase>((resolve, reject) => {
    const request = indexedDB.open(database);
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
  const transaction = db.transaction('checkpoints', 'readwrite');
  transaction.objectStore('checkpoints').put(value, key);
  await new Promise((resolve) => {
    transaction.oncomplete = resolve;
  });
  db.close();
}
