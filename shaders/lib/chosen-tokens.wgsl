// The tokens chosen in earlier steps: a ring of steps, of which later ones overwrite what is no longer read. The including file
// defines `tokens` (ring, slots), and in `params` the step, the number of slots, and the length of the ring.

#include "lib/place.wgsl"

fn chosen_at(place: Place, step: u32) -> u32 {
  return step % params.ring * params.slots + place.slot;
}

// The input of a step.
fn input_token(place: Place) -> u32 {
  if (params.step == place.start) {
    return place.first;
  }
  return tokens[chosen_at(place, params.step - 1u)];
}
