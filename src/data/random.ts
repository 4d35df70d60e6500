/**
 * Seeded random numbers on the CPU: the same seed gives the same numbers on every machine. For the order of the data and
 * for initial weights; kernels have their own generators. Not for secrets.
 *
 * Generator: sfc32 (Chris Doty-Humphrey, PractRand), 128 bits of state, filled from the seeds by the finalizer of
 * splitmix32/murmur3.
 */

/** The complete state of a generator, for a checkpoint. */
export type RandomState = [number, number, number, number];

export class Random {
  private state: RandomState;

  /** A separate stream for each list of seeds: (7), (7, 0) and (7, 1) are unrelated. */
  constructor(...seeds: number[]) {
    let hash = mix(seeds.length);
    for (const seed of seeds) {
      // Both halves of the 53 bits are used.
      hash = mix(hash ^ (seed >>> 0));
      hash = mix(hash ^ (Math.floor(seed / 2 ** 32) >>> 0));
    }
    const word = (): number => {
      hash = (hash + 0x9e3779b9) >>> 0;
      return mix(hash);
    };
    this.state = [word(), word(), word(), 1];
    for (let i = 0; i < 12; i++) this.bits();
  }

  static fromState(state: RandomState): Random {
    const random = new Random();
    random.state = [...state];
    return random;
  }

  /** The current state; {@link Random.fromState} continues from it. */
  save(): RandomState {
    return [...this.state];
  }

  /** 32 random bits. */
  bits(): number {
    const [a, b, c, counter] = this.state;
    const result = (a + b + counter) >>> 0;
    this.state[3] = (counter + 1) >>> 0;
    this.state[0] = (b ^ (b >>> 9)) >>> 0;
    this.state[1] = (c + (c << 3)) >>> 0;
    this.state[2] = (((c << 21) | (c >>> 11)) + result) >>> 0;
    return result;
  }

  /** Uniform in [0, 1), a multiple of 2⁻³². */
  uniform(): number {
    return this.bits() / 2 ** 32;
  }

  /** Uniform in {0, …, n − 1}, without modulo bias. */
  below(n: number): number {
    const limit = 2 ** 32 - (2 ** 32 % n);
    let bits = this.bits();
    while (bits >= limit) bits = this.bits();
    return bits % n;
  }

  /** Standard normal (Box–Muller; the second number of each pair is dropped, so that the state is complete). */
  normal(): number {
    const radius = Math.sqrt(-2 * Math.log(1 - this.uniform()));
    return radius * Math.cos(2 * Math.PI * this.uniform());
  }
}

/** The integers 0 … n−1 in the order of one epoch, determined by (n, seed, epoch) alone. Fisher–Yates. */
export function shuffle(n: number, seed: number, epoch: number): Uint32Array<ArrayBuffer> {
  const random = new Random(seed, epoch);
  const order = Uint32Array.from({ length: n }, (_, i) => i);
  for (let i = n - 1; i > 0; i--) {
    const j = random.below(i + 1);
    const moved = order[i];
    order[i] = order[j];
    order[j] = moved;
  }
  return order;
}

/**
 * Fills `weights` (out, in) uniformly in ±√(6 / ((1 + a²)·in)): He et al. 2015, eq. 14, for a leaky ReLU of slope a. With a
 * = √5, as PyTorch and PEFT initialize a linear layer, the bound is 1/√in.
 */
export function kaimingUniform(
  weights: Float32Array,
  fanIn: number,
  random: Random,
  a = Math.sqrt(5),
): Float32Array {
  const bound = Math.sqrt(6 / ((1 + a * a) * fanIn));
  for (let i = 0; i < weights.length; i++) weights[i] = (2 * random.uniform() - 1) * bound;
  return weights;
}

/** A bijection on 32-bit words in which every input bit affects every output bit. */
function mix(word: number): number {
  let hash = word >>> 0;
  hash = Math.imul(hash ^ (hash >>> 16), 0x21f0aaad);
  hash = Math.imul(hash ^ (hash >>> 15), 0x735a2d97);
  return (hash ^ (hash >>> 15)) >>> 0;
}
