// Where a row of a generation step keeps its sequence. The first step of a sequence repeats the prompt's last token and
// chooses its first one, so that a row is refilled without another pass: all later steps add one own token to the cache.

struct Place {
  prompt: u32, // the prompt's cache rows [prompt, prompt_end)
  prompt_end: u32,
  own: u32, // cache rows [own, own_end) for its own tokens
  own_end: u32,
  start: u32, // the step that chooses its first token
  slot: u32, // its column of the chosen tokens
  sequence: u32, // its index among all sequences, for the random numbers
  first: u32, // the prompt's last token
}

// How many of its tokens were chosen before a step. A finished row stays within its part of the cache.
fn age_of(place: Place, step: u32) -> u32 {
  return min(step - place.start, place.own_end - place.own);
}

// Number of the prompt's keys before the input of a step. In the first step, the input is the prompt's last token.
fn prompt_keys(place: Place, step: u32) -> u32 {
  return place.prompt_end - place.prompt - select(0u, 1u, step == place.start);
}

// Number of its own keys before the input of a step.
fn own_keys(place: Place, step: u32) -> u32 {
  return max(age_of(place, step), 1u) - 1u;
}

// The position of a step's input.
fn position_of(place: Place, step: u32) -> u32 {
  return prompt_keys(place, step) + own_keys(place, step);
}
