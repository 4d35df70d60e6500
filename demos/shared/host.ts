/**
 * The GPU and its contents: the model, and the trainer of the current run with its adapter. If the device is lost, {@link
 * Host.renew} rebuilds everything from memory, and the run resumes from its checkpoint.
 */
import { Tokenizer } from 'webalign';
import type { Files } from 'webalign/files';
import { type Around, type Gpu, requestGpu, Turns } from 'webalign/gpu';
import { CausalLM, type LoadOptions, type LoraAdapter } from 'webalign/models';

/** A browser restarts its GPU process in about a second. */
const RENEWALS = 10;
const RENEWAL_PAUSE = 500;

/** The embedded model takes 3 MiB in float32, which is faster on a software adapter. */
const EMBEDDED: LoadOptions = { dtype: 'float32' };

/** The host's requirements of a trainer. */
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
  /** Notices about the adapter and the model for the user, one line each. */
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

  /** The folder of the model. */
  get files(): Files {
    return this.machine.files;
  }

  get tokenizer(): Tokenizer {
    return this.machine.tokenizer;
  }

  /** Replaces a lost device by a new one with the model on it. */
  async renew(): Promise<void> {
    const { machine } = this;
    this.trainer = undefined;
    for (let tries = 1; ; tries++) {
      // The lost one, or one on which loading the model failed.
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

  /** Runs work with the model without the trainer's adapter. */
  readonly asItWas: Around = (work) => {
    const adapter = this.trainer?.adapter;
    return adapter ? this.model.without([adapter], work) : work();
  };
}
