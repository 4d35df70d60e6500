// Whether a sequence has ended. The including file also defines `eos`, the ids that end one.

#include "lib/chosen-tokens.wgsl"

const INVALID: u32 = 0xffffffff;

fn has_ended(place: Place) -> bool {
  if (params.step == place.start) {
    return false;
  }
  let last = input_token(place);
  var ended = last == INVALID;
  for (var i = 0u; i < arrayLength(&eos); i++) {
    ended = ended || last == eos[i];
  }
  return ended;
}
