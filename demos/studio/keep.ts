/** The tab that hands out what was made: the adapter and the preferences, each as files that others read. */
import type { Remote } from 'comlink';
import { formatBytes } from 'webalign/gpu';
import { byId, make, onPress, setText, setUsable } from '../shared/dom.ts';
import { downloadAdapter, downloadFile } from '../shared/download.ts';
import { messageOf } from '../shared/message-of.ts';
import type { ExportName } from './exports.ts';
import type { StudioJob } from './messages.ts';
import { exportFiles, type FileType, type Form } from './preferences/files.ts';
import type { PreferenceStore } from './preferences/store.ts';
import { samplingNow, systemNow } from './sampling.ts';

interface Context {
  job: Remote<StudioJob>;
  store: PreferenceStore;
}

interface Kind {
  label: string;
  meaning: string;
  /** Whether a trained adapter is needed; otherwise a preference is. */
  ofAdapter: boolean;
  /** Makes the file and starts its download; returns what to do with it, in a sentence. */
  export(context: Context): Promise<string>;
}

const data = (label: string, meaning: string, form: Form): Kind => ({
  label,
  meaning,
  ofAdapter: false,
  export: async ({ store }) => {
    const type = byId('export-type', HTMLSelectElement).value as FileType;
    const files = await exportFiles(store.all(), { form, type });
    for (const { name, bytes, type } of files) downloadFile(new Blob([bytes], { type }), name);
    const names = files.map(({ name }) => name).join(' and ');
    return names ? `${names}: TRL reads it as it is, and the tab Collect imports it again.` : NO_ROWS;
  },
});

/** A file that the worker makes. */
const made = (name: ExportName, label: string, meaning: string, next: string): Kind => ({
  label,
  meaning,
  ofAdapter: true,
  export: async ({ job }) => {
    const file = await job.makeFile(name);
    downloadFile(file, file.name);
    return next;
  },
});

/** How Ollama runs the whole model: as the drafts were written. */
function modelfile(): string {
  const { temperature, topP, maxNewTokens } = samplingNow();
  const system = systemNow();
  return [
    'FROM ./webalign-model.gguf',
    `PARAMETER temperature ${temperature}`,
    `PARAMETER top_p ${topP}`,
    `PARAMETER num_predict ${maxNewTokens}`,
    ...(system ? [`SYSTEM """${system.replaceAll('"""', "'''")}"""`] : []),
    '',
  ].join('\n');
}

const NO_ROWS = 'No pick makes a row of this kind. Choose another form.';

/** What can be exported, a row each. */
const KINDS: readonly Kind[] = [
  {
    label: 'Adapter for PEFT',
    meaning: 'adapter_config.json and adapter_model.safetensors, in a zip',
    ofAdapter: true,
    export: async ({ job }) => {
      downloadAdapter(await job.adapterFiles());
      return 'Unpack it, and load the folder with PeftModel.from_pretrained, or with --adapter of webalign.';
    },
  },
  {
    label: 'Adapter of the best held-out step',
    meaning: 'the same files, as they were where the held-out loss was lowest',
    ofAdapter: true,
    export: async ({ job }) => {
      downloadAdapter(await job.bestAdapterFiles());
      return 'It is read like the adapter for PEFT.';
    },
  },
  made(
    'ggufAdapter',
    'Adapter for llama.cpp',
    'a GGUF file, for a GGUF of the same model',
    'Run llama-cli -m model.gguf --lora webalign-adapter.gguf',
  ),
  made(
    'ggufModel',
    'Whole model for llama.cpp and Ollama',
    'one GGUF file in F16 with the adapter merged in',
    'For Ollama, export its Modelfile too, and run beside both: ollama create tuned -f Modelfile',
  ),
  {
    label: 'Modelfile for Ollama',
    meaning: 'names the GGUF file and the settings of your drafts',
    ofAdapter: true,
    export: async () => {
      // As text it would be called Modelfile.txt.
      downloadFile(new Blob([modelfile()], { type: 'application/octet-stream' }), 'Modelfile');
      return 'Beside webalign-model.gguf run: ollama create tuned -f Modelfile && ollama run tuned';
    },
  },
  made(
    'mergedModel',
    'Whole model for transformers',
    'safetensors with the adapter merged in, configuration and tokenizer, in a zip',
    'Unpack it, and load the folder with AutoModelForCausalLM.from_pretrained.',
  ),
  made(
    'report',
    'Report of the run',
    'curves, samples and settings on one page, which loads nothing',
    'report.html opens in any browser, and shows everything without a network.',
  ),
  made(
    'trl',
    'Run for TRL and accelerate',
    'a script that continues with adapter, data order, schedule and optimizer',
    'Unpack it, pip install -r requirements.txt, and run accelerate launch --num_processes 1 train.py',
  ),
  data('Pairs', 'prompt, chosen, rejected, for DPO', 'dpo'),
  data('Labeled drafts', 'prompt, completion, label, for KTO', 'kto'),
  data('Texts', 'prompt, completion, for SFT', 'sft'),
];

export class Keep {
  private readonly button = byId('export-button', HTMLButtonElement);
  private readonly problem = byId('export-error', HTMLElement);
  private readonly radios: HTMLInputElement[];
  private hasAdapter = false;
  private isBusy = false;

  constructor(
    private readonly job: () => Remote<StudioJob> | undefined,
    private readonly store: PreferenceStore,
  ) {
    this.radios = KINDS.map((_, i) => {
      const radio = make('input');
      Object.assign(radio, { type: 'radio', name: 'kind', value: String(i), checked: i === 0 });
      return radio;
    });
    const labels = KINDS.map(({ label, meaning }, i) =>
      make('label', '', this.radios[i], ` ${label} `, make('small', '', meaning)),
    );
    byId('export-kinds', HTMLDivElement).append(...labels);
    const form = byId('export', HTMLFormElement);
    form.addEventListener('change', () => this.offer());
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      if (this.button.getAttribute('aria-disabled') !== 'true') void this.export();
    });
    onPress(byId('persist', HTMLButtonElement), () => void this.persist());
    store.subscribe(() => this.offer());
    this.offer();
  }

  /** Whether there is an adapter that has learned something. */
  allow(hasAdapter: boolean): void {
    this.hasAdapter = hasAdapter;
    this.offer();
  }

  /** Says what this browser keeps for the page. */
  async look(): Promise<void> {
    const { usage = 0, quota = 0 } = await navigator.storage.estimate();
    const isKept = await navigator.storage.persisted();
    const room = `${formatBytes(usage)} of the ${formatBytes(quota)} that this browser allows the page`;
    const care = isKept
      ? 'The browser has agreed not to remove it.'
      : 'The browser may remove it when the disk is full. Export what you want to keep.';
    setText(
      byId('storage-text', HTMLElement),
      `Your picks, the run and its checkpoint take ${room}. ${care}`,
    );
    byId('persist', HTMLButtonElement).hidden = isKept;
  }

  private get chosen(): Kind {
    return KINDS[this.radios.findIndex(({ checked }) => checked)] ?? KINDS[0];
  }

  private offer(): void {
    const { ofAdapter } = this.chosen;
    byId('export-types', HTMLElement).hidden = ofAdapter;
    const hasPicks = this.store.all().length > 0;
    setUsable(this.button, !this.isBusy && (ofAdapter ? this.hasAdapter : hasPicks));
    const missing = ofAdapter ? 'There is no trained adapter yet.' : 'There are no preferences yet.';
    const isThere = ofAdapter ? this.hasAdapter : hasPicks;
    setText(byId('export-said', HTMLElement), isThere ? '' : missing);
  }

  private async export(): Promise<void> {
    const job = this.job();
    if (!job) return;
    setText(this.problem, '');
    this.isBusy = true;
    this.offer();
    let said = '';
    try {
      said = await this.chosen.export({ job, store: this.store });
    } catch (error) {
      setText(this.problem, messageOf(error));
    } finally {
      this.isBusy = false;
      this.offer();
      if (said) setText(byId('export-said', HTMLElement), said);
    }
  }

  private async persist(): Promise<void> {
    const isKept = await navigator.storage.persist();
    await this.look();
    if (!isKept) {
      const text =
        'The browser has not agreed. It often does once a page is bookmarked or installed as an app.';
      setText(byId('storage-text', HTMLElement), text);
    }
  }
}
