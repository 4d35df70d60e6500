/**
 * The tab of the model: which one writes and learns here, a model of one's own with what it needs before it is loaded, and those
 * that this browser keeps. Another model is used by reloading the page with it, so that nothing of the one before is left.
 */
import { proxy, type Remote } from 'comlink';
import { formatBytes } from 'webalign/gpu';
import { byId, make, onPress, setText, setUsable } from '../shared/dom.ts';
import { messageOf } from '../shared/message-of.ts';
import { droppedFiles } from './dropped.ts';
import { chooseModel, deleteModel, type KeptModel, keptModels } from './library.ts';
import type { ModelFacts, StudioJob } from './messages.ts';
import { chosenPrecision, PRECISIONS, showPlan } from './plan-view.ts';

export class ModelTab {
  private readonly form = byId('own', HTMLFormElement);
  private readonly use = byId('own-use', HTMLButtonElement);
  private readonly problem = byId('own-error', HTMLElement);
  private readonly bar = byId('own-progress', HTMLProgressElement);
  private files: readonly File[] = [];
  private round = 0;

  constructor(private readonly job: () => Remote<StudioJob> | undefined) {
    for (const kind of ['folder', 'files'] as const) {
      const input = byId(`${kind}-input`, HTMLInputElement);
      onPress(byId(`choose-${kind}`, HTMLButtonElement), () => input.click());
      input.addEventListener('change', () => void this.plan([...(input.files ?? [])]));
    }
    this.wireDrop();
    this.form.addEventListener('submit', (event) => {
      event.preventDefault();
      if (this.use.getAttribute('aria-disabled') !== 'true') void this.keep();
    });
    onPress(byId('model-embedded', HTMLButtonElement), () => void this.open(undefined));
  }

  show({ name, parameters, positions, chats, embedded }: ModelFacts): void {
    const texts = {
      name,
      parameters: parameters.toLocaleString('en'),
      positions: `${positions.toLocaleString('en')} tokens`,
      kind: chats ? 'answers in a chat' : 'continues a text',
    };
    for (const [id, text] of Object.entries(texts)) setText(byId(`model-${id}`, HTMLElement), text);
    byId('model-embedded', HTMLButtonElement).hidden = embedded;
    void this.listKept();
  }

  private wireDrop(): void {
    const area = byId('drop', HTMLElement);
    area.addEventListener('dragover', (event) => {
      event.preventDefault();
      area.classList.add('over');
    });
    area.addEventListener('dragleave', () => area.classList.remove('over'));
    area.addEventListener('drop', (event) => {
      event.preventDefault();
      area.classList.remove('over');
      if (event.dataTransfer) void droppedFiles(event.dataTransfer).then((files) => this.plan(files));
    });
  }

  /** Says what the model in these files needs, and offers to use it. */
  private async plan(files: readonly File[]): Promise<void> {
    const job = this.job();
    if (!job || files.length === 0) return;
    const round = ++this.round;
    this.form.hidden = true;
    setText(this.problem, '');
    setText(byId('own-said', HTMLElement), 'Computing its memory needs …');
    try {
      const plan = await job.plan(files);
      if (round !== this.round) return;
      this.files = files;
      setUsable(this.use, showPlan(plan));
      this.form.hidden = false;
    } catch (error) {
      if (round === this.round) setText(this.problem, messageOf(error));
    } finally {
      if (round === this.round) setText(byId('own-said', HTMLElement), '');
    }
  }

  /** Copies the planned model into this browser, and opens the page with it. */
  private async keep(): Promise<void> {
    const job = this.job();
    if (!job) return;
    const dtype = chosenPrecision(this.form);
    const name = byId('own-name', HTMLElement).textContent ?? 'model';
    setUsable(this.use, false);
    setText(this.problem, '');
    this.bar.hidden = false;
    const onProgress = proxy((done: number, total: number) => {
      this.bar.value = done / total;
    });
    try {
      await job.keepModel(this.files, { name, dtype }, onProgress);
      location.reload();
    } catch (error) {
      setText(this.problem, messageOf(error));
      setUsable(this.use, true);
      this.bar.hidden = true;
    }
  }

  private async open(id: string | undefined): Promise<void> {
    await chooseModel(id);
    location.reload();
  }

  private async listKept(): Promise<void> {
    const models = await keptModels().catch(() => []);
    byId('library', HTMLElement).hidden = models.length === 0;
    byId('library-list', HTMLUListElement).replaceChildren(...models.map((model) => this.keptRow(model)));
  }

  private keptRow({ id, name, bytes, dtype }: KeptModel): HTMLElement {
    const open = make('button', '', 'Use');
    open.setAttribute('aria-label', `Use ${name}`);
    onPress(open, () => void this.open(id));
    const remove = make('button', '', 'Delete');
    remove.setAttribute('aria-label', `Delete ${name}`);
    onPress(remove, async () => {
      await deleteModel(id);
      await this.listKept();
    });
    const text = `${name}, ${PRECISIONS[dtype] ?? dtype}, ${formatBytes(bytes)}`;
    return make('li', '', make('span', '', text), open, remove);
  }
}
