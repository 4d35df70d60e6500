/**
 * Malicious files on which the fuzzer saw a reader fail, one test each: they are refused with a message, and without memory
 * that only the file claims to need. `npm run fuzz` searches for more; a finding becomes a row of `test/fuzz/corpus`.
 */
import { expect } from 'chai';
import { countAllocations } from '../fuzz/allocations.ts';
import adapter from '../fuzz/corpus/adapter.json' with { type: 'json' };
import config from '../fuzz/corpus/config.json' with { type: 'json' };
import ggufParts from '../fuzz/corpus/gguf-parts.json' with { type: 'json' };
import hub from '../fuzz/corpus/hub.json' with { type: 'json' };
import json from '../fuzz/corpus/json.json' with { type: 'json' };
import parquet from '../fuzz/corpus/parquet.json' with { type: 'json' };
import rows from '../fuzz/corpus/rows.json' with { type: 'json' };
import runState from '../fuzz/corpus/run-state.json' with { type: 'json' };
import safetensors from '../fuzz/corpus/safetensors.json' with { type: 'json' };
import template from '../fuzz/corpus/template.json' with { type: 'json' };
import tokenizer from '../fuzz/corpus/tokenizer.json' with { type: 'json' };
import weights from '../fuzz/corpus/weights.json' with { type: 'json' };
import { type KeptFolder, unkeep } from '../fuzz/folder.ts';
import { judge, TARGETS } from '../fuzz/judge.ts';

interface Row {
  /** What went wrong with it. */
  why: string;
  files: unknown;
  /** The file is valid. */
  sound?: boolean;
}

const CORPUS: Readonly<Record<string, readonly Row[]>> = {
  adapter,
  config,
  'gguf-parts': ggufParts,
  hub,
  json,
  parquet,
  rows,
  'run-state': runState,
  safetensors,
  template,
  tokenizer,
  weights,
};

/** Time and memory are measured by the fuzzer: here they would include those of other tests. */
const WATCHED = { memory: () => 0, seconds: () => 0 };

describe('malicious files', () => {
  for (const [name, found] of Object.entries(CORPUS)) {
    for (const { why, files, sound } of found) {
      it(`${name}: ${why}`, async () => {
        const folder = unkeep(files as KeptFolder);
        const allocations = countAllocations();
        try {
          const verdict = await judge(TARGETS[name], folder, { ...WATCHED, allocated: allocations.bytes });
          expect(verdict.finding).to.equal(undefined);
          expect(verdict.refused).to.equal(!sound);
        } finally {
          allocations.stop();
        }
      });
    }
  }
});
