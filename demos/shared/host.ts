/**
 * The GPU and what lives on it: the model, and the trainer of the run under way with its adapter. When the device is lost
 * all of it is gone, and {@link Host.renew} builds it again from memory; the run then goes on from its checkpoint.
 */
import { Tokenizer } from 'webalign';
import type { Files } from 'webalign/files';
import { type Around, type Gpu, requestGpu, Turns } from 'webalign/gpu';
import { CausalLM, type LoadOptions, type LoraAdapter } from 'webalign/models';

/** A browser starts its GPU process again in about a second. */
const RENEWALS = 10;
const RENEWAL_PAUSE = 500;

/** The embedded model takes 3 MiB in float32, and is read faster so where no GPU helps. */
const EMBEDDED: LoadOptions = { dtype: 'float32' };

/** What a host asks of a trainer. */
export interface Trains {
  readonly adapter: LoraAdapter | undefined;
  dispose(): void;
}

export interface Machine {
  files: Files;
  tokenizer: Tokenizer;
  gpu: Gpu;
  model: CausalLM;
  /** How the model is loaded, now and after a lost device. */
  loading: LoadOptions;
  /** What a person should know about the adapter and the model, a line each. */
  notices: readonly string[];
}

/** A device with the model on it. Throws `NoAdapterError`. */
export async function openMachine(files: Files, loading = EMBEDDED): Promise<Machine> {
  const notices: string[] = [];
  const gpu = await requestGpu({ onNotice: (line) => notices.push(line) });
  const [tokenizer, model] = await Promise.all([
    Tokenizer.fromFiles(files),
    CausalLM.load(gpu, files, loading),
  ]);
  return { files, tokenizer, gpu, model, loading, notices: [...notices, ...model.notices] };
}

export class Host<Trainer extends Trains> {
  readonly turns = new Turns();
  trainer: Trainer | undefined;

  constructor(private readonly machine: Machine) {}

  get gpu(): Gpu {
    return this.machine.gpu;
  }

  get notices(): readonly string[] {
    return this.machine.notices;
  }

  get model(): CausalLM {
    return this.machine.model;
  }

  /** The folder that the model came from. */
  get files(): Files {
    return this.machine.files;
  }

  get tokenizer(): Tokenizer {
    return this.machine.tokenizer;
  }

  /** A new device with the model on it, in place of one that is lost. */
  async renew(): Promise<void> {
    const { machine } = this;
    this.trainer = undefined;
    for (let tries = 1; ; tries++) {
      // The lost one, or one on which the model could not be loaded.
      machine.gpu.dispose();
      try {
        machine.gpu = await requestGpu();
        machine.model = await CausalLM.load(machine.gpu, machine.files, machine.loading);
        return;
      } catch (error) {
        if (tries === RENEWALS) throw error;
        await new Promise((resolve) => setTimeout(resolve, RENEWAL_PAUSE));
      }
    }
  }

  removeTrainer(): void {
    if (!this.trainer) return;
    this.trainer.dispose();
    if (this.trainer.adapter) this.model.detach(this.trainer.adapter);
    this.trainer = undefined;
  }

  /** Runs work by the model without the trainer's adapter. */
  readonly asItWas: Around = (work) => {
    const adapter = this.trainer?.adapter;
    return adapter ? this.model.without([adapter], work) : work();
  };
}
