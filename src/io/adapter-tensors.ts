/** The tensors of an adapter's file, under the names of PEFT, transformers or PyTorch, as A and B of modules. */
import { InputError, listed, printable, quote } from './errors.ts';
import { toFloat32 } from './float.ts';
import type { Adapter } from './peft.ts';
import type { StoredTensor } from './safetensors.ts';

/**
 * A tensor's name: the module, limited in length; the half, A or B; and the adapter's name if the file is PyTorch's
 * `state_dict()` of the model rather than PEFT's own format. transformers omits the prefix.
 */
const KEY = /^(?:base_model\.model\.)?(.{1,512}?)\.lora_(A|B)(?:\.([^.]{1,128}))?\.weight$/;
/** Heads and embeddings, which are not adapted. PEFT merges the adapter of a tied head into the embedding as well. */
const ENDS = /lm_head|embed|wte/;
/** PEFT's default name of an adapter, for saving and loading. */
const DEFAULT = 'default';

/** A and B of each module, sorted by module name, of rank `rank` if given; an error lists all unsupported tensors. */
export function adapterTensors(
  tensors: ReadonlyMap<string, StoredTensor>,
  rank: number | undefined,
  file: string,
): Adapter['weights'] {
  const found: { module: string; half: 'A' | 'B'; adapter: string | undefined; tensor: StoredTensor }[] = [];
  const odd: string[] = [];
  for (const [name, tensor] of tensors) {
    const [, module, half, adapter] = KEY.exec(name) ?? [];
    if (module === undefined || ENDS.test(module)) odd.push(quote(name));
    else found.push({ module, half: half as 'A' | 'B', adapter, tensor });
  }
  if (odd.length > 0) {
    throw new InputError(
      file,
      `not LoRA weights of linear layers: ${listed(odd)}`,
      'Save it without them (save_embedding_layers=False, bias="none"), or merge it with PEFT, unless head and embedding are tied',
    );
  }
  const names = new Set(found.map(({ adapter }) => adapter));
  const chosen = chosenAdapter(names, file);
  const halves = new Map<string, { A?: StoredTensor; B?: StoredTensor }>();
  for (const { module, half, adapter, tensor } of found) {
    if (adapter !== chosen) continue;
    const other = halves.get(module);
    if (other?.[half])
      throw new InputError(file, `has lora_${half} of ${printable(module)} twice`, 'Leave one out');
    halves.set(module, { ...other, [half]: tensor });
  }
  if (halves.size === 0)
    throw new InputError(file, 'contains no LoRA weights', 'Check that it is the right file');
  const weights: Adapter['weights'] = new Map();
  for (const [module, { A, B }] of [...halves].sort(([x], [y]) => (x < y ? -1 : 1))) {
    if (!A || !B)
      throw new InputError(file, `${printable(module)} has no lora_${A ? 'B' : 'A'}`, 'Fetch the file again');
    const r = rank ?? A.shape[0] ?? 0;
    checkHalf(A, 0, `(${r}, in)`, r);
    checkHalf(B, 1, `(out, ${r})`, r);
    const [width, out] = [A.shape[1], B.shape[0]];
    weights.set(module, { a: toFloat32(A).slice(), b: toFloat32(B).slice(), r, in: width, out });
  }
  return weights;
}

/** If a file has several adapters, the one that PEFT loads. */
function chosenAdapter(names: ReadonlySet<string | undefined>, file: string): string | undefined {
  const [only] = names;
  if (names.size <= 1) return only;
  if (names.has(DEFAULT) && !names.has(undefined)) return DEFAULT;
  const listing = listed([...names].map((name) => (name === undefined ? 'one without a name' : quote(name))));
  throw new InputError(
    file,
    `contains several adapters: ${listing}`,
    'Save each in its own file: model.save_pretrained(…)',
  );
}

/** Throws unless the tensor is a matrix with the rank as its side `axis`. */
function checkHalf({ shape, where }: StoredTensor, axis: number, expected: string, r: number): void {
  if (shape.length === 2 && !shape.includes(0) && shape[axis] === r) return;
  const what = `shape (${listed(shape)}) is not ${expected}`;
  throw new InputError(where, what, `The adapter's rank is r = ${r} there`);
}
